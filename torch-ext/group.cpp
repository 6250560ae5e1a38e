// Several processes that add up numbers: libtorch's store over TCP, and its process group over gloo.

#include <ATen/ATen.h>
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "attempt.h"

using c10d::ProcessGroupGloo;
using convae::attempt;
using std::chrono::milliseconds;

// Whoever waits decides for how long; an end from within would leave a group that is of no use.
constexpr milliseconds kAnyTime = std::chrono::hours(24 * 365);

struct ConvaeStore {
    c10::intrusive_ptr<c10d::Store> store;
};

struct ConvaeGroup {
    c10::intrusive_ptr<ProcessGroupGloo> group;
    // What is under way, and the tensor that it reads and writes.
    c10::intrusive_ptr<c10d::Work> work;
    std::vector<at::Tensor> tensors;
};

extern "C" {

// The caller tells what went wrong in its own words; libtorch's warnings of the same would stand beside them.
void convae_group_hush() noexcept { FLAGS_caffe2_log_level = 3; }

char* convae_store_open(const char* host, uint16_t port, bool serves, const char* prefix, int64_t timeout_ms,
                        ConvaeStore** store) noexcept {
    return attempt([=] {
        c10d::TCPStoreOptions options;
        options.port = port;
        options.isServer = serves;
        options.waitWorkers = false;
        options.timeout = milliseconds(timeout_ms);
        auto tcp = c10::make_intrusive<c10d::TCPStore>(host, options);
        *store = new ConvaeStore{c10::make_intrusive<c10d::PrefixStore>(prefix, tcp)};
    });
}

char* convae_store_set(ConvaeStore* store, const char* key, const char* value) noexcept {
    return attempt([=] { store->store->set(key, std::vector<uint8_t>(value, value + std::strlen(value))); });
}

// `value` stays null where nothing is stored; else the caller hands it to `convae_free`.
char* convae_store_get(ConvaeStore* store, const char* key, char** value) noexcept {
    return attempt([=] {
        if (!store->store->check({key})) return;
        const auto bytes = store->store->get(key);
        *value = strndup(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
}

char* convae_store_add(ConvaeStore* store, const char* key, int64_t amount, int64_t* sum) noexcept {
    return attempt([=] { *sum = store->store->add(key, amount); });
}

void convae_store_close(ConvaeStore* store) noexcept {
    attempt([=] { delete store; });
}

// `network` names an interface, or is empty; `local` where all are on one machine.
char* convae_group_join(ConvaeStore* store, int rank, int size, bool local, const char* network, int64_t timeout_ms,
                        ConvaeGroup** group) noexcept {
    return attempt([=] {
        auto options = ProcessGroupGloo::Options::create();
        options->timeout = milliseconds(timeout_ms);
        if (*network != 0) {
            options->devices.push_back(ProcessGroupGloo::createDeviceForInterface(network));
        } else if (local) {
            options->devices.push_back(ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
        } else {
            options->devices.push_back(ProcessGroupGloo::createDefaultDevice());
        }
        auto gloo = c10::make_intrusive<ProcessGroupGloo>(store->store, rank, size, options);
        *group = new ConvaeGroup{gloo, nullptr, {}};
    });
}

// `values` are those of all ranks' sum when `convae_group_wait` is done, and must live until then.
char* convae_group_begin_sum(ConvaeGroup* group, void* values, int64_t count, bool wide) noexcept {
    return attempt([=] {
        group->tensors = {at::from_blob(values, {count}, wide ? at::kDouble : at::kFloat)};
        c10d::AllreduceOptions options;
        options.timeout = kAnyTime;
        group->work = group->group->allreduce(group->tensors, options);
    });
}

// The same of bytes that all are to have as rank 0 has them.
char* convae_group_begin_copy(ConvaeGroup* group, uint8_t* bytes, int64_t count) noexcept {
    return attempt([=] {
        group->tensors = {at::from_blob(bytes, {count}, at::kByte)};
        c10d::BroadcastOptions options;
        options.timeout = kAnyTime;
        group->work = group->group->broadcast(group->tensors, options);
    });
}

// Waits so long at most for what is under way.
char* convae_group_wait(ConvaeGroup* group, int64_t timeout_ms, bool* done) noexcept {
    return attempt([=] {
        try {
            group->work->wait(milliseconds(timeout_ms));
        } catch (...) {
            // A wait that is too short ends by an exception too. What was done just then gives its own on a second wait, or
            // none.
            if (!group->work->isCompleted()) return;
            group->work->wait(milliseconds(timeout_ms));
        }
        group->work.reset();
        group->tensors.clear();
        *done = true;
    });
}

void convae_group_leave(ConvaeGroup* group) noexcept {
    attempt([=] { delete group; });
}
}
