#!/usr/bin/env bash
# Measures convae beside Keras and PyTorch on this machine, all in turn in one run: a table, a chart
# and the figures as JSON. Without arguments about 20 minutes; --quick takes five; --help says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# Python would leave __pycache__ among the scripts.
export PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1

scripts/setup.sh --python
if ! wants_help "$@"; then
    say "building convae."
    cargo build --locked --examples
    cargo build --locked
fi
exec .venv/bin/python -m bench --built "${CARGO_TARGET_DIR:-target}/debug" "$@"
