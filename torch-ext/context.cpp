// libtorch's switches that tch does not bind. Exceptions end here: C knows none.

#include <ATen/Context.h>

#include <cstdlib>

#include "attempt.h"

using convae::attempt;

extern "C" {

char* convae_set_context(bool allow_tf32, bool deterministic) noexcept {
    return attempt([=] {
        auto& context = at::globalContext();
        context.setAllowTF32CuDNN(allow_tf32);
        context.setAllowTF32CuBLAS(allow_tf32);
        // cuDNN's own algorithms that add up by atomics, and the search for the fastest, which may choose another one
        // in the next run.
        context.setDeterministicCuDNN(deterministic);
        context.setBenchmarkCuDNN(!deterministic);
    });
}

char* convae_context(bool* allows_tf32, bool* is_deterministic) noexcept {
    return attempt([=] {
        auto& context = at::globalContext();
        *allows_tf32 = context.allowTF32CuDNN() || context.allowTF32CuBLAS();
        *is_deterministic = context.deterministicCuDNN() && !context.benchmarkCuDNN();
    });
}

void convae_free(char* text) noexcept { free(text); }
}
