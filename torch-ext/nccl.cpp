// Sums among the GPUs of several processes, by NCCL itself: libtorch's process group on top of it has a watchdog that ends
// the program in its own words. No call waits for another process: the caller asks again until all is done. Exceptions end
// here: C knows none. Source: NCCL's user guide, "Fault tolerance".

#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "attempt.h"

using c10::DeviceIndex;
using c10::cuda::CUDAGuard;
using convae::attempt;

namespace {

void check(ncclResult_t result) {
    if (result == ncclSuccess || result == ncclInProgress) return;
    throw std::runtime_error(std::string(ncclGetErrorString(result)) + ": " + ncclGetLastError(nullptr));
}

void check(cudaError_t result) {
    if (result != cudaSuccess) throw std::runtime_error(cudaGetErrorString(result));
}

struct Members {
    explicit Members(DeviceIndex device) : device(device) {}

    // What is under way ends by that, here and among the others.
    ~Members() {
        if (communicator != nullptr) ncclCommAbort(communicator);
        if (summed != nullptr) cudaEventDestroy(summed);
    }

    // Whether NCCL has taken what it was last asked for.
    bool is_ready() const {
        ncclResult_t state = ncclSuccess;
        check(ncclCommGetAsyncError(communicator, &state));
        check(state);
        return state == ncclSuccess;
    }

    DeviceIndex device;
    ncclComm_t communicator = nullptr;
    // Behind the sum on its stream.
    cudaEvent_t summed = nullptr;
    bool is_marked = false;
    // What is added up, kept until it is done.
    at::Tensor values;
};

}  // namespace

extern "C" {

// What rank 0 makes and all others join with: `NCCL_UNIQUE_ID_BYTES` bytes.
char* convae_nccl_invite(uint8_t* invitation) noexcept {
    return attempt([=] {
        ncclUniqueId id;
        check(ncclGetUniqueId(&id));
        static_assert(sizeof id == 128, "as the caller has it");
        std::memcpy(invitation, &id, sizeof id);
    });
}

// Begins to meet the others; until `convae_nccl_is_ready` nothing else may be asked for.
char* convae_nccl_join(int device, const uint8_t* invitation, int rank, int size, Members** members) noexcept {
    return attempt([=] {
        CUDAGuard guard(static_cast<DeviceIndex>(device));
        auto own = std::make_unique<Members>(static_cast<DeviceIndex>(device));
        ncclUniqueId id;
        std::memcpy(&id, invitation, sizeof id);
        ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
        config.blocking = 0;
        check(ncclCommInitRankConfig(&own->communicator, size, id, rank, &config));
        check(cudaEventCreateWithFlags(&own->summed, cudaEventDisableTiming));
        *members = own.release();
    });
}

char* convae_nccl_is_ready(Members* members, bool* ready) noexcept {
    return attempt([=] { *ready = members->is_ready(); });
}

// `values`, float32 or float64 in one row, become the sums of all ranks' when `convae_nccl_is_summed` says so.
char* convae_nccl_begin_sum(Members* members, at::Tensor* values) noexcept {
    return attempt([=] {
        CUDAGuard guard(members->device);
        members->values = *values;
        members->is_marked = false;
        const auto type = values->scalar_type() == at::kDouble ? ncclDouble : ncclFloat;
        void* row = values->data_ptr();
        check(ncclAllReduce(row, row, values->numel(), type, ncclSum, members->communicator,
                            c10::cuda::getCurrentCUDAStream(members->device)));
    });
}

char* convae_nccl_is_summed(Members* members, bool* done) noexcept {
    return attempt([=] {
        CUDAGuard guard(members->device);
        if (!members->is_ready()) return;
        if (!members->is_marked) {
            check(cudaEventRecord(members->summed, c10::cuda::getCurrentCUDAStream(members->device)));
            members->is_marked = true;
        }
        const auto state = cudaEventQuery(members->summed);
        if (state == cudaErrorNotReady) return;
        check(state);
        members->values.reset();
        *done = true;
    });
}

void convae_nccl_leave(Members* members) noexcept { delete members; }
}
