// See README.md beside this file.
#pragma once

namespace gloo {
class Algorithm;
}
