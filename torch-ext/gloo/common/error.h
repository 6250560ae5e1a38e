// See README.md in the folder above: libtorch's headers include it and use nothing of it.
#pragma once
