#!/usr/bin/env bash
# Shows on a machine with an NVIDIA GPU whether convae is as exact, as repeatable and as fast there as docs/gpu.md says: one
# table. Gets libtorch for CUDA and MNIST, builds, and runs some minutes; --help says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

on_cpu() { case " $* " in *" --device cpu "* | *" --device=cpu "*) true ;; *) false ;; esac }

if ! wants_help "$@"; then
    # Without a GPU it tries the checks themselves.
    if on_cpu "$@"; then scripts/setup.sh; else scripts/setup.sh --cuda; fi
    say "building convae."
    cargo build --locked --bin convae --example all_reduce
fi
exec "${PYTHON:-python3}" scripts/gpu_check.py --convae "${CARGO_TARGET_DIR:-target}/debug/convae" "$@"
