#!/usr/bin/env bash
# Trains the models for pages of text and holds them beside what people use today: tables, pictures and
# the figures as JSON, in runs/show. --help says more.
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
exec .venv/bin/python -m show --built "${CARGO_TARGET_DIR:-target}/debug" "$@"
