#!/usr/bin/env bash
# Trains small denoisers on a folder of public photographs, with and without clean images, and holds them beside BM3D,
# non-local means, total variation and published figures: a table, in runs/photos. --help says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# Python would leave __pycache__ among the scripts.
export PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1

scripts/setup.sh --python
install_rivals
if ! wants_help "$@"; then
    say "building convae."
    cargo build --locked
fi
exec .venv/bin/python -m photos --built "${CARGO_TARGET_DIR:-target}/debug" "$@"
