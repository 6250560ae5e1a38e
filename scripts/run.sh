#!/usr/bin/env bash
# Runs convae with the arguments given here, after fetching what is missing and building it.
# It works in the repository's folder: relative paths (configs, data, runs) count from there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

scripts/setup.sh

# Cargo may be quiet only when it has nothing to build: a build takes minutes and should show it.
program=${CARGO_TARGET_DIR:-target}/debug/convae
if [ ! -x "$program" ]; then
    say "building convae; the first build takes a few minutes."
    cargo build --locked
elif [ -n "$(find src build.rs Cargo.toml Cargo.lock .libtorch/build-version -newer "$program" 2>/dev/null)" ]; then
    cargo build --locked
fi
exec cargo run --quiet --locked -- "$@"
