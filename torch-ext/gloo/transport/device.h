// See README.md in the folder above.
#pragma once

namespace gloo::transport {
class Device;
}
