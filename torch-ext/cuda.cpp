// What tch does not bind of CUDA: memory from which a GPU fetches by itself, and graphs, which hold what is computed on a GPU
// while it is captured, to be started again as one. Exceptions end here: C knows none. Source of the latter: PyTorch's
// torch/csrc/cuda/Graph.cpp, which binds the same class for Python.

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <memory>

#include "attempt.h"

using c10::DeviceIndex;
using c10::cuda::CUDAGuard;
using convae::attempt;

namespace {

// libtorch's own class needs headers of more of CUDA.
struct Event {
    Event() { C10_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming)); }
    ~Event() { cudaEventDestroy(event); }

    cudaEvent_t event = nullptr;
};

struct Graph {
    Graph(DeviceIndex device, const Graph* beside)
        : device(device), pool(beside == nullptr ? at::cuda::graph_pool_handle() : beside->pool) {}

    // libtorch gives the memory back of what was captured, and keeps that of a capture that failed. It tells by an exception.
    bool gives_memory_back() {
        try {
            graph.pool();
            return true;
        } catch (const std::exception&) {
            return false;
        }
    }

    DeviceIndex device;
    at::cuda::MempoolId_t pool;
    at::cuda::CUDAGraph graph;
    // Its own one: when a graph is freed, libtorch frees what products on its stream keep for themselves.
    c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool(false, device);
    // That of the thread, before the capture and after.
    c10::cuda::CUDAStream before = c10::cuda::getCurrentCUDAStream(device);
};

// The default stream waits for all others, and they for it, which a capture does not allow.
void leave_default_stream(DeviceIndex device) {
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

// Memory of a GPU that nobody has taken, in bytes.
char* convae_free_memory(int device, uint64_t* bytes) noexcept {
    return attempt([=] {
        CUDAGuard guard(static_cast<DeviceIndex>(device));
        size_t free = 0, all = 0;
        C10_CUDA_CHECK(cudaMemGetInfo(&free, &all));
        *bytes = free;
    });
}

// A place in what this thread has let a GPU do, which can be waited for.
char* convae_event_record(int device, Event** event) noexcept {
    return attempt([=] {
        CUDAGuard guard(static_cast<DeviceIndex>(device));
        auto own = std::make_unique<Event>();
        const auto stream = c10::cuda::getCurrentCUDAStream(static_cast<DeviceIndex>(device));
        C10_CUDA_CHECK(cudaEventRecord(own->event, stream));
        *event = own.release();
    });
}

char* convae_event_wait(Event* event) noexcept {
    return attempt([=] { C10_CUDA_CHECK(cudaEventSynchronize(event->event)); });
}

void convae_event_free(Event* event) noexcept { delete event; }

// From here on this thread computes on a stream beside which others can be captured.
char* convae_graph_prepare(int device) noexcept {
    return attempt([=] {
        CUDAGuard guard(static_cast<DeviceIndex>(device));
        leave_default_stream(static_cast<DeviceIndex>(device));
    });
}

// Begins a capture of what this thread computes, which `convae_graph_end` must end, whatever happens between them. It shares
// the memory of `beside`, if that is a graph.
char* convae_graph_begin(int device, const Graph* beside, Graph** graph) noexcept {
    return attempt([=] {
        CUDAGuard guard(static_cast<DeviceIndex>(device));
        // Captured work has memory apart; what earlier work has left free would lie idle.
        c10::cuda::CUDACachingAllocator::emptyCache();
        auto own = std::make_unique<Graph>(static_cast<DeviceIndex>(device), beside);
        c10::cuda::device_synchronize();
        c10::cuda::setCurrentCUDAStream(own->stream);
        try {
            // Other threads prepare batches meanwhile, and may take pinned memory.
            own->graph.capture_begin(own->pool, cudaStreamCaptureModeThreadLocal);
        } catch (...) {
            c10::cuda::setCurrentCUDAStream(own->before);
            throw;
        }
        *graph = own.release();
    });
}

char* convae_graph_end(Graph* graph) noexcept {
    return attempt([=] {
        CUDAGuard guard(graph->device);
        const auto before = graph->before;
        try {
            graph->graph.capture_end();
        } catch (...) {
            c10::cuda::setCurrentCUDAStream(before);
            throw;
        }
        c10::cuda::setCurrentCUDAStream(before);
    });
}

// Starts it; the call does not wait for its end.
char* convae_graph_replay(Graph* graph) noexcept {
    return attempt([=] { graph->graph.replay(); });
}

void convae_graph_free(Graph* graph) noexcept {
    char* problem = attempt([=] {
        std::unique_ptr<Graph> own(graph);
        CUDAGuard guard(own->device);
        if (!own->gives_memory_back()) c10::cuda::CUDACachingAllocator::releasePool(own->device, own->pool);
        own.reset();
        c10::cuda::CUDACachingAllocator::emptyCache();
    });
    free(problem);
}
}
