// See README.md beside this file.
#pragma once

#include <chrono>
#include <memory>

namespace gloo {
namespace transport {
class UnboundBuffer;
}

class Context {
   public:
    void setTimeout(std::chrono::milliseconds);
    std::chrono::milliseconds getTimeout() const;
};
}  // namespace gloo
