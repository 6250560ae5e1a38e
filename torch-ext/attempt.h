// What each function for C goes through: exceptions end here, as C knows none.

#pragma once

#include <cstring>
#include <exception>

namespace convae {

// Null, or the text of an exception, which the caller hands to `convae_free`.
template <typename Work>
char* attempt(Work work) noexcept {
    try {
        work();
        return nullptr;
    } catch (const std::exception& problem) {
        return strdup(problem.what());
    } catch (...) {
        return strdup("an exception without a text");
    }
}

}  // namespace convae
