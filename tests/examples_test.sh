#!/usr/bin/env bash
# Runs examples/denoise.rs as its first lines say: it gives the pixels that `convae apply` gives.
# The last line is "N passed, M failed", for scripts/test.sh. examples/load_*.py run in tests/program/export.rs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

convae() { cargo run --quiet --locked -- "$@"; }

the_example_cleans_an_image_as_apply_does() {
    convae --config denoise.toml --out "$folder/run" --set data.dir=tests/digits \
        --set data.train_samples=64 --set data.test_samples=32 --set train.device=cpu &&
        convae apply --checkpoint "$folder/run/noise.pt" --out "$folder/cleaned" \
            --set train.device=cpu "$folder/run/input_noise.png" &&
        cargo run --quiet --locked --example denoise -- \
            "$folder/run/noise.pt" "$folder/run/input_noise.png" "$folder/by_example.png" &&
        cmp "$folder/cleaned/input_noise.png" "$folder/by_example.png"
}

if the_example_cleans_an_image_as_apply_does >"$folder/log" 2>&1; then
    echo "test the_example_cleans_an_image_as_apply_does ... ok"
    echo "1 passed, 0 failed"
else
    cat "$folder/log"
    echo "test the_example_cleans_an_image_as_apply_does ... FAILED"
    echo "0 passed, 1 failed"
    exit 1
fi
