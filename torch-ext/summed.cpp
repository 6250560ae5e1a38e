// Sums over several processes through which gradients go. The caller adds up; libtorch learns here what the gradient is.
// Exceptions end here: C knows none.

#include <torch/csrc/autograd/custom_function.h>

#include <stdexcept>

#include "attempt.h"

using convae::attempt;

// Puts the sums over all ranks in the place of a tensor's values, or says what went wrong.
using AddUp = void (*)(const void* ranks, at::Tensor* values, char* problem, size_t room);

namespace {

at::Tensor added_up(const at::Tensor& own, int64_t add_up, int64_t ranks) {
    at::Tensor all = own.detach().clone(at::MemoryFormat::Contiguous);
    char problem[512] = {};
    reinterpret_cast<AddUp>(add_up)(reinterpret_cast<const void*>(ranks), &all, problem, sizeof problem);
    if (*problem != 0) throw std::runtime_error(problem);
    return all;
}

// Each rank's loss depends on the sum, so a rank's own part of it moves the losses of all.
struct Summed : torch::autograd::Function<Summed> {
    static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& own, int64_t add_up,
                              int64_t ranks) {
        context->saved_data["add_up"] = add_up;
        context->saved_data["ranks"] = ranks;
        return added_up(own, add_up, ranks);
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                   torch::autograd::variable_list gradients) {
        auto& saved = context->saved_data;
        return {added_up(gradients[0], saved["add_up"].toInt(), saved["ranks"].toInt()), at::Tensor(), at::Tensor()};
    }
};

}  // namespace

extern "C" {

// `ranks` must live until the gradients have gone back; the caller owns `all`.
char* convae_summed(const at::Tensor* own, AddUp add_up, const void* ranks, at::Tensor** all) noexcept {
    return attempt([=] {
        const auto sums = Summed::apply(*own, reinterpret_cast<int64_t>(add_up), reinterpret_cast<int64_t>(ranks));
        *all = new at::Tensor(sums);
    });
}
}
