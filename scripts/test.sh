#!/usr/bin/env bash
# Runs every check that a change to convae has to pass, and counts the tests that really ran. All
# stages run even when one fails; the last line of the output is "N passed, M failed", and where tests
# lacked something that they need, ", K skipped".
# shellcheck disable=SC2317 # the stages are functions that are called through stage
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

main() {
    python=--python
    case "${1:-}" in
    "") ;;
    --no-python) python= ;;
    -h | --help) usage ;;
    *) fail "unknown option '$1'" "See scripts/test.sh --help." ;;
    esac
    results=$(mktemp) broken=0
    trap 'rm -f "$results"' EXIT

    stage "setup" scripts/setup.sh $python
    if [ $broken -gt 0 ]; then report; fi # nothing below can work
    choose_python
    look_for_browser
    stage "formatting (cargo fmt)" cargo fmt --check
    stage "lints (cargo clippy)" cargo clippy --locked --all-targets -- -D warnings
    stage "documentation (cargo doc)" env RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -Dwarnings" cargo doc --locked --no-deps
    stage "shell scripts (shellcheck)" check_shell_scripts
    stage "tests of scripts/setup.sh" count bash tests/setup_test.sh
    stage "tests (cargo test)" count cargo test --locked --no-fail-fast
    stage "the program in examples/" count bash tests/examples_test.sh
    stage "the kernels' unsafe loops (valgrind)" check_memory
    stage "the fuzzers build (cargo clippy)" check_fuzzers
    if [ -n "$python" ]; then
        stage "tests of the scripts (Python)" test_scripts
        stage "the same numbers as Keras (quick parity, TensorFlow and JAX)" scripts/parity.sh
    fi
    report
}

usage() {
    cat <<'END'
usage: scripts/test.sh [--no-python]

  --no-python  do without the Python environment .venv (up to 3.3 GB to download); tests that
               compare with Keras and PyTorch, and the quick parity, are then left out
END
    exit 0
}

# The tests that compare with Keras and PyTorch run with the Python that CONVAE_PYTHON names.
choose_python() {
    if [ -n "$python" ]; then
        export CONVAE_PYTHON="${CONVAE_PYTHON:-$PWD/.venv/bin/python}"
    else
        unset CONVAE_PYTHON
        echo "!! --no-python: the tests that compare with Keras and PyTorch are NOT run."
    fi
}

look_for_browser() {
    if ! have chromium && ! have chromium-browser && ! have google-chrome && ! have google-chrome-stable &&
        [ -z "${CONVAE_BROWSER:-}" ]; then
        echo "!! no browser is installed: report.html is NOT looked at in one (apt install chromium)."
    fi
}

stage() { # HEADLINE COMMAND...; a stage that fails without a failed test counts as one failure
    local failures
    echo "== $(printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60)))  $1"
    shift
    failures=$(sum_of failed)
    "$@" || [ "$(sum_of failed)" -gt "$failures" ] || broken=$((broken + 1))
}

count() { "$@" 2>&1 | tee -a "$results"; }

# Adds up cargo's "test result: ok. 3 passed; 0 failed; ..." and our own "3 passed, 0 failed".
sum_of() { # passed|failed
    awk -v what="$1" '
        /^test result: |^[0-9]+ passed, [0-9]+ failed$/ {
            for (i = 2; i <= NF; i++) if ($i ~ "^" what "[;,]?$") sum += $(i - 1)
        }
        END { print sum + 0 }' "$results"
}

# A workspace of its own, which shares what is built with the application.
check_fuzzers() {
    cargo fmt --check --manifest-path fuzz/Cargo.toml &&
        CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}" \
            cargo clippy --locked --manifest-path fuzz/Cargo.toml --all-targets -- -D warnings
}

test_scripts() {
    CONVAE="${CARGO_TARGET_DIR:-$PWD/target}/debug/convae" PYTHONDONTWRITEBYTECODE=1 \
        count "$CONVAE_PYTHON" scripts/run_tests.py
}

# The tests that lacked something say so in a line of their own, while cargo says that they passed; see
# tests/common/absent.rs.
skipped_tests() { awk '/^!! SKIPPED / && !seen[$0]++' "$results"; }

check_shell_scripts() {
    if have shellcheck; then
        shellcheck -x scripts/*.sh tests/*.sh .ci/run
    else
        echo "shellcheck is not installed: left out (apt install shellcheck)."
    fi
}

# The kernels' own tests again: valgrind stops at a value that is read or written beyond an end. It
# knows no AVX-512, so what runs there are the AVX2 and the portable form of the same loops.
check_memory() {
    local host
    if ! have valgrind; then
        echo "valgrind is not installed: left out (apt install valgrind)."
        return
    fi
    host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
    env "CARGO_TARGET_${host}_RUNNER=valgrind -q --error-exitcode=1" \
        cargo test --locked --lib kernels::tests
}

report() {
    local failed=$(($(sum_of failed) + broken)) skipped
    skipped=$(skipped_tests | wc -l)
    echo "== $(printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60)))  end"
    skipped_tests
    echo "$(($(sum_of passed) - skipped)) passed, $failed failed$([ "$skipped" -eq 0 ] || echo ", $skipped skipped")"
    if [ $failed -gt 0 ]; then exit 1; fi
    exit 0
}

main "$@"
