#!/usr/bin/env bash
# Trains small denoisers on a folder of public photographs, with and without clean images, and holds them beside BM3D,
# non-local means, total variation and published figures: a table, in runs/photos. --help says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

measure_beside_rivals photos "$@"
