// libtorch's switches that tch does not bind. Exceptions end here: C knows none.

#include <ATen/Context.h>

#include <cstdlib>
#include <cstring>
#include <exception>

namespace {

char* copy_of(const char* text) noexcept {
    // Where there is no memory for it, the caller gets null, as if nothing had gone wrong: the next call will tell.
    return strdup(text);
}

}  // namespace

extern "C" {

// Null, or what went wrong, which the caller hands to `convae_free`.
char* convae_set_context(bool allow_tf32, bool deterministic) noexcept {
    try {
        auto& context = at::globalContext();
        context.setAllowTF32CuDNN(allow_tf32);
        context.setAllowTF32CuBLAS(allow_tf32);
        // cuDNN's own algorithms that add up by atomics, and the search for the fastest, which may choose another one
        // in the next run.
        context.setDeterministicCuDNN(deterministic);
        context.setBenchmarkCuDNN(!deterministic);
        return nullptr;
    } catch (const std::exception& problem) {
        return copy_of(problem.what());
    } catch (...) {
        return copy_of("an exception without a text");
    }
}

bool convae_allows_tf32() noexcept {
    try {
        auto& context = at::globalContext();
        return context.allowTF32CuDNN() || context.allowTF32CuBLAS();
    } catch (...) {
        return true;
    }
}

bool convae_is_deterministic() noexcept {
    auto& context = at::globalContext();
    return context.deterministicCuDNN() && !context.benchmarkCuDNN();
}

void convae_free(char* text) noexcept { free(text); }
}
