#!/usr/bin/env bash
# Holds convae against Keras: the same weights, pictures and order on both sides, step by step.
# Without arguments the two shipped configs in minutes; --full checks every bar; --help says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

scripts/setup.sh --python
# Python would leave __pycache__ among the scripts.
export PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1

if ! wants_help "$@"; then
    say "building convae."
    cargo build --locked
fi
exec .venv/bin/python -m parity --convae "${CARGO_TARGET_DIR:-target}/debug/convae" "$@"
