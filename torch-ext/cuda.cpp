// What tch does not bind of CUDA: memory from which a GPU fetches by itself, and graphs, which hold what is computed on a GPU
// while it is captured, to be started again as one. Exceptions end here: C knows none. Source of the latter: PyTorch's
// torch/csrc/cuda/Graph.cpp, which binds the same class for Python.

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <cstdlib>
#include <memory>

#include "attempt.h"

using at::cuda::CUDAGraph;
using convae::attempt;

namespace {

// What a thread computes on the default stream cannot be captured.
void leave_default_stream(c10::DeviceIndex device) {
    if (c10::cuda::getCurrentCUDAStream(device) != c10::cuda::getDefaultCUDAStream(device)) return;
    // What began on the one stream must be done before the other reads it.
    c10::cuda::device_synchronize();
    c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(false, device));
}

}  // namespace

extern "C" {

// Moves a tensor's values to memory from which a GPU fetches while the processor goes on.
char* convae_pin(at::Tensor* tensor) noexcept {
    return attempt([=] { *tensor = tensor->pin_memory(); });
}

// From here on this thread computes on a stream that can be captured.
char* convae_graph_prepare(int device) noexcept {
    return attempt([=] {
        c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
        leave_default_stream(static_cast<c10::DeviceIndex>(device));
    });
}

// Begins a capture of what this thread computes, which `convae_graph_end` must end, whatever happens between them.
char* convae_graph_begin(int device, CUDAGraph** graph) noexcept {
    return attempt([=] {
        c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
        // Captured work has memory of its own; what earlier work has left free would lie idle.
        c10::cuda::CUDACachingAllocator::emptyCache();
        auto own = std::make_unique<CUDAGraph>();
        // Other threads prepare batches meanwhile, and may take pinned memory.
        own->capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
        *graph = own.release();
    });
}

char* convae_graph_end(int device, CUDAGraph* graph) noexcept {
    return attempt([=] {
        c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
        graph->capture_end();
    });
}

// Starts it; the call does not wait for its end.
char* convae_graph_replay(CUDAGraph* graph) noexcept {
    return attempt([=] { graph->replay(); });
}

void convae_graph_free(CUDAGraph* graph) noexcept {
    if (char* problem = attempt([=] { delete graph; })) free(problem);
}
}
