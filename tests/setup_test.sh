#!/usr/bin/env bash
# Tests of scripts/setup.sh, each in a folder of its own, with no network: mirrors are file:// folders
# and programs that would go out are replaced. MNIST itself comes from the checkout's data/mnist.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset LIBTORCH PYTHON CONVAE_ROOT CONVAE_LIBTORCH_MIRROR CONVAE_MNIST_MIRROR CONVAE_FASHION_MNIST_MIRROR CXX

SETUP=$PWD/scripts/setup.sh
MNIST=$PWD/data/mnist
FASHION=$PWD/data/fashion-mnist
REQUIREMENTS=$PWD/scripts/requirements.txt
IMAGES=t10k-images-idx3-ubyte
LABELS=t10k-labels-idx1-ubyte

# ---- helpers: each test runs in a subshell with $root, $bin (first in PATH) and $out of its own ----

setup() { # ARGUMENTS...; leaves $status and, in the file $out, what was said
    status=0
    CONVAE_ROOT=$root "$SETUP" "$@" >"$out" 2>&1 </dev/null || status=$?
}

succeeds() { [ "$status" = 0 ] || wrong "it failed with status $status"; }
is_refused() { [ "$status" != 0 ] || wrong "it succeeded"; }
says() { grep -qF -- "$1" "$out" || wrong "it did not say: $1"; }
is_absent() { [ ! -e "$1" ] || wrong "$1 is there"; }
is_whole() { cmp -s "$MNIST/$1" "$root/data/mnist/$1" || wrong "$1 is not there or differs"; }
wrong() {
    echo "$1"
    exit 1
}

wait_for() { # FILE
    local tries
    for tries in {1..200}; do
        if [ -s "$1" ]; then return; fi
        sleep 0.1
    done
    wrong "$1 did not appear in $tries tries"
}

replace() { # PROGRAM; its new body is read from stdin
    { echo '#!/bin/sh' && cat; } >"$bin/$1"
    chmod +x "$bin/$1"
}

mnist_is_in_place() {
    local name
    for name in train-images-idx3-ubyte train-labels-idx1-ubyte "$IMAGES" "$LABELS"; do is_whole "$name"; done
    is_absent "$root/data/.mnist.part"
    is_absent "$root/.setup.lock"
}

a_good_mirror() { export CONVAE_MNIST_MIRROR=file://$work/mirror; }

# The same four files, of which one is another file's content.
a_mirror_with_one_wrong_file() {
    cp -R "$work/mirror" "$root/mirror"
    cp "$work/mirror/train-labels-idx1-ubyte.gz" "$root/mirror/$LABELS.gz"
    export CONVAE_MNIST_MIRROR=file://$root/mirror
}

an_archive_mirror() { # holds an archive of the right shape, whose library is a line of text
    on_platform Linux x86_64
    mkdir -p "$root/pack/libtorch/lib" "$root/mirror/cpu"
    echo library >"$root/pack/libtorch/lib/libtorch_cpu.so"
    (cd "$root/pack" && python3 -m zipfile -c ../archive.zip libtorch/)
    cp "$root/archive.zip" "$root/mirror/cpu/libtorch-shared-with-deps-2.13.0+cpu.zip"
    export CONVAE_LIBTORCH_MIRROR=file://$root/mirror
}

on_platform() { # SYSTEM MACHINE
    replace uname <<<"case \$1 in -s) echo $1 ;; -m) echo $2 ;; esac"
    replace xcode-select </dev/null
}

# ---- options -----------------------------------------------------------------------------------

an_unknown_option_is_refused_with_the_usage() {
    setup --gpu
    is_refused
    says "unknown option '--gpu'"
    says "usage: scripts/setup.sh"
}

an_unknown_part_is_refused() {
    setup --only mnits
    is_refused
    says "'mnits'"
}

# ---- MNIST -------------------------------------------------------------------------------------

mnist_comes_from_a_mirror() {
    a_good_mirror
    setup --only mnist
    succeeds
    mnist_is_in_place
}

a_second_run_does_nothing() {
    a_good_mirror
    setup --only mnist
    export CONVAE_MNIST_MIRROR=file:///nowhere
    setup --only mnist
    succeeds
    says "everything is in place"
}

a_file_with_a_wrong_checksum_is_refused_and_not_left_in_place() {
    a_mirror_with_one_wrong_file
    setup --only mnist
    is_refused
    says "$LABELS from"
    is_absent "$root/data/mnist/$LABELS"
    is_absent "$root/data/.mnist.part"
    is_whole $IMAGES
}

a_truncated_archive_is_refused_and_not_left_in_place() {
    cp -R "$work/mirror" "$root/mirror"
    head -c 1000 "$work/mirror/$IMAGES.gz" >"$root/mirror/$IMAGES.gz"
    export CONVAE_MNIST_MIRROR=file://$root/mirror
    setup --only mnist
    is_refused
    says "$IMAGES from"
    is_absent "$root/data/mnist/$IMAGES"
}

a_damaged_file_is_named_set_aside_and_replaced() {
    a_good_mirror
    mkdir -p "$root/data/mnist"
    echo mine >"$root/data/mnist/$LABELS"
    setup --only mnist
    succeeds
    says "$LABELS is damaged"
    mnist_is_in_place
    [ "$(cat "$root/data/mnist/$LABELS.damaged")" = mine ] || wrong "the file set aside is lost"
}

an_unreachable_mirror_is_reported_with_a_remedy() {
    export CONVAE_MNIST_MIRROR=file:///nowhere
    setup --only mnist
    is_refused
    says "set CONVAE_MNIST_MIRROR"
}

when_npm_fails_the_public_mirrors_are_asked_in_turn() {
    replace npm <<<'exit 1'
    replace curl <<END
for word; do case \$word in https://*) echo "\$word" >>"$root/asked" ;; *.gz) file=\$word ;; esac; done
case \$* in *ossci*) exit 22 ;; *) cp "$work/mirror/\${file##*/}" "\$file" ;; esac
END
    setup --only mnist
    succeeds
    mnist_is_in_place
    [ "$(grep -c storage.googleapis.com "$root/asked")" = 4 ] || wrong "asked: $(cat "$root/asked")"
}

a_killed_run_leaves_no_half_file_and_the_next_succeeds() {
    a_good_mirror
    replace curl <<END
for word; do case \$word in */.mnist.part/*) echo half >"\$word" ;; esac; done
echo \$\$ >"$root/download"
exec sleep 60
END
    CONVAE_ROOT=$root "$SETUP" --only mnist >"$out" 2>&1 </dev/null &
    wait_for "$root/download"
    kill -KILL $!
    kill -KILL "$(cat "$root/download")"
    wait $! || true
    [ -z "$(ls "$root/data/mnist")" ] || wrong "there is a file in data/mnist"
    rm "$bin/curl"
    setup --only mnist
    succeeds
    mnist_is_in_place
}

a_second_setup_waits_for_the_first() {
    a_good_mirror
    replace curl <<END
sleep 1
PATH=\${PATH#*:}
exec curl "\$@"
END
    CONVAE_ROOT=$root "$SETUP" --only mnist >"$root/first" 2>&1 </dev/null &
    wait_for "$root/.setup.lock"
    setup --only mnist
    wait $!
    succeeds
    says "waiting for another setup"
    mnist_is_in_place
    if grep -q "fetching" "$out"; then wrong "it fetched what the other had fetched"; fi
}

a_full_disk_is_noticed_before_anything_is_fetched() {
    a_good_mirror
    replace df <<<'printf "head\nfs 100000 99000 1024 99%% /\n"'
    setup --only mnist
    is_refused
    says "which has 1 MB"
    is_absent "$root/data"
}

# ---- Fashion-MNIST -----------------------------------------------------------------------------

# Its own files would be 31 MB: what stands in for them must be refused by its checksums.
another_sets_files_are_not_taken_for_fashion_mnist() {
    export CONVAE_FASHION_MNIST_MIRROR=file://$work/mirror
    setup --only fashion-mnist
    is_refused
    says "$IMAGES from file://$work/mirror does not have Fashion-MNIST's checksum"
    says "set CONVAE_FASHION_MNIST_MIRROR"
    is_absent "$root/data/fashion-mnist/$IMAGES"
    is_absent "$root/data/.fashion-mnist.part"
    is_absent "$root/data/mnist"
}

fashion_mnist_comes_from_debian_or_else_from_the_public_mirrors() {
    replace apt-get <<<"echo \"\$@\" >>$root/asked; exit 100"
    replace dpkg-deb <<<'exit 1'
    replace curl <<<"echo \"\$@\" >>$root/asked; exit 22"
    setup --only fashion-mnist
    is_refused
    says "Fashion-MNIST did not come from dataset-fashion-mnist"
    for place in 'download dataset-fashion-mnist' fashion-mnist.s3-website github.com/zalandoresearch; do
        grep -q -- "$place" "$root/asked" || wrong "$place was not asked: $(cat "$root/asked")"
    done
}

# Only where the set is at hand: data/fashion-mnist of the checkout.
fashion_mnist_is_unpacked_from_a_package() {
    if [ ! -d "$FASHION" ]; then return; fi
    mkdir -p "$root/package/usr/share/datasets/fashion-mnist"
    for file in "$FASHION"/*-ubyte; do
        gzip -1c "$file" >"$root/package/usr/share/datasets/fashion-mnist/${file##*/}.gz"
    done
    replace apt-get <<<'touch set.deb'
    replace dpkg-deb <<<"cp -R $root/package/usr ."
    setup --only fashion-mnist
    succeeds
    for file in "$FASHION"/*-ubyte; do
        cmp -s "$file" "$root/data/fashion-mnist/${file##*/}" || wrong "${file##*/} differs"
    done
    setup --only fashion-mnist
    says "everything is in place"
}

# ---- libtorch ----------------------------------------------------------------------------------

a_libtorch_of_the_users_own_is_left_to_rule() {
    mkdir -p "$root/own/lib"
    export LIBTORCH=$root/own
    setup --only libtorch
    succeeds
    says "LIBTORCH=$root/own is used"
    is_absent "$root/.libtorch"
}

a_libtorch_of_the_users_own_must_have_libraries() {
    mkdir -p "$root/own"
    export LIBTORCH=$root/own
    setup --only libtorch
    is_refused
    says "has no folder lib/"
}

libtorch_comes_from_an_archive_and_a_second_run_does_nothing() {
    an_archive_mirror
    setup --only libtorch
    succeeds
    says "not verified"
    [ "$(cat "$root/.libtorch/build-version")" = 2.13.0+cpu ] || wrong "the stamp is missing"
    is_absent "$root/.libtorch.part"
    export CONVAE_LIBTORCH_MIRROR=file:///nowhere
    setup --only libtorch
    succeeds
    says "everything is in place"
}

a_libtorch_without_a_stamp_is_replaced() {
    an_archive_mirror
    mkdir -p "$root/.libtorch/lib"
    echo half >"$root/.libtorch/lib/libtorch_cpu.so"
    setup --only libtorch
    succeeds
    [ "$(cat "$root/.libtorch/lib/libtorch_cpu.so")" = library ] || wrong "the half library is still there"
}

a_libtorch_with_cuda_stays_until_one_for_the_cpu_is_asked_for() {
    an_archive_mirror
    mkdir -p "$root/.libtorch/lib"
    touch "$root"/.libtorch/lib/libtorch_{cpu,cuda}.so
    echo 2.13.0+cu130 >"$root/.libtorch/build-version"
    setup --only libtorch
    says "everything is in place"
    setup --only libtorch --cpu
    succeeds
    is_absent "$root/.libtorch/lib/libtorch_cuda.so"
    [ "$(cat "$root/.libtorch/build-version")" = 2.13.0+cpu ] || wrong "the stamp is of another build"
}

a_broken_archive_is_refused_and_the_old_libtorch_stays() {
    an_archive_mirror
    mkdir -p "$root/.libtorch/lib"
    head -c 100 "$root/archive.zip" | tee "$root"/mirror/cpu/* >"$out"
    setup --only libtorch
    is_refused
    says "is not a libtorch archive"
    [ -d "$root/.libtorch/lib" ] || wrong "the old libtorch is gone"
    is_absent "$root/.libtorch/build-version"
}

without_pip_the_official_archive_is_asked_for() {
    export PYTHON=false
    on_platform Linux x86_64
    replace curl <<<"echo \"\$@\" >>$root/asked; exit 22"
    setup --only libtorch
    is_refused
    says "there is no pip"
    grep -q 'download.pytorch.org/libtorch/cpu/libtorch-shared-with-deps-2.13.0%2Bcpu.zip' "$root/asked" ||
        wrong "asked: $(cat "$root/asked")"
}

a_wheel_with_a_wrong_checksum_is_refused() {
    on_platform Linux x86_64
    local info=torch-2.13.0.dist-info wheel=torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl
    mkdir -p "$root/wheels/$info"
    printf 'Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n' >"$root/wheels/$info/METADATA"
    printf 'Wheel-Version: 1.0\nTag: cp312-cp312-manylinux_2_28_x86_64\n' >"$root/wheels/$info/WHEEL"
    (cd "$root/wheels" && python3 -m zipfile -c $wheel $info/)
    export PIP_NO_INDEX=1 PIP_FIND_LINKS=$root/wheels
    setup --only libtorch
    is_refused
    says "DO NOT MATCH THE HASHES"
    says "pip could not fetch libtorch"
    is_absent "$root/.libtorch"
}

a_platform_without_libtorch_is_named() {
    on_platform FreeBSD amd64
    setup --only libtorch
    is_refused
    says "no ready-made libtorch 2.13.0 for FreeBSD on amd64"
    says "set LIBTORCH"
}

cuda_is_refused_on_a_mac() {
    on_platform Darwin arm64
    setup --only libtorch --cuda
    is_refused
    says "Linux on x86_64 only"
}

a_machine_without_cargo_is_sent_to_rustup() {
    ln -s "$(command -v bash)" "$(command -v dirname)" "$(command -v uname)" "$bin"
    PATH=$bin setup --only libtorch
    is_refused
    says "https://rustup.rs"
}

# ---- Python ------------------------------------------------------------------------------------

a_python_environment() { # whose python notes what it is asked to do
    mkdir -p "$root/.venv/bin"
    bin=$root/.venv/bin replace python <<<"echo \"\$@\" >>$root/asked"
}

the_python_environment_is_installed_once_and_again_when_it_is_not_current() {
    a_python_environment
    setup --only python
    succeeds
    grep -q "pip install .*$REQUIREMENTS" "$root/asked" || wrong "pip did not install"
    rm "$root/asked"
    setup --only python
    says "everything is in place"
    if grep -q "pip install" "$root/asked"; then wrong "pip installed again"; fi
    echo "sum of an older file" >"$root/.venv/requirements.sha256"
    setup --only python
    grep -q "pip install" "$root/asked" || wrong "pip did not install what had changed"
}

a_package_that_is_half_installed_is_forgotten() {
    a_python_environment
    local packages=$root/.venv/lib/python3.12/site-packages
    mkdir -p "$packages/half.dist-info" "$packages/whole.dist-info"
    touch "$packages/whole.dist-info/INSTALLER"
    setup --only python
    succeeds
    is_absent "$packages/half.dist-info"
    [ -d "$packages/whole.dist-info" ] || wrong "a whole package is forgotten too"
}

a_python_that_is_too_old_is_refused() {
    for name in python3 python3.11 python3.12 python3.13; do
        replace $name <<<"[ \$1 = --version ] && echo Python 3.9.1"
    done
    setup --only python
    is_refused
    says "needs Python 3.11, 3.12 or 3.13; python3 is Python 3.9.1"
    is_absent "$root/.venv"
}

# ---- the run -----------------------------------------------------------------------------------

run_all() {
    run an_unknown_option_is_refused_with_the_usage
    run an_unknown_part_is_refused
    run mnist_comes_from_a_mirror
    run a_second_run_does_nothing
    run a_file_with_a_wrong_checksum_is_refused_and_not_left_in_place
    run a_truncated_archive_is_refused_and_not_left_in_place
    run a_damaged_file_is_named_set_aside_and_replaced
    run an_unreachable_mirror_is_reported_with_a_remedy
    run when_npm_fails_the_public_mirrors_are_asked_in_turn
    run a_killed_run_leaves_no_half_file_and_the_next_succeeds
    run a_second_setup_waits_for_the_first
    run a_full_disk_is_noticed_before_anything_is_fetched
    run another_sets_files_are_not_taken_for_fashion_mnist
    run fashion_mnist_comes_from_debian_or_else_from_the_public_mirrors
    run fashion_mnist_is_unpacked_from_a_package
    run a_libtorch_of_the_users_own_is_left_to_rule
    run a_libtorch_of_the_users_own_must_have_libraries
    run libtorch_comes_from_an_archive_and_a_second_run_does_nothing
    run a_libtorch_without_a_stamp_is_replaced
    run a_libtorch_with_cuda_stays_until_one_for_the_cpu_is_asked_for
    run a_broken_archive_is_refused_and_the_old_libtorch_stays
    run without_pip_the_official_archive_is_asked_for
    run a_wheel_with_a_wrong_checksum_is_refused
    run a_platform_without_libtorch_is_named
    run cuda_is_refused_on_a_mac
    run a_machine_without_cargo_is_sent_to_rustup
    run the_python_environment_is_installed_once_and_again_when_it_is_not_current
    run a_package_that_is_half_installed_is_forgotten
    run a_python_that_is_too_old_is_refused
}

run() { # TEST
    local status
    set +e
    (
        set -e
        root=$work/$1 out=$work/$1/said bin=$work/$1/bin
        mkdir -p "$bin"
        PATH=$bin:$PATH
        "$1"
    ) >"$work/log" 2>&1
    status=$?
    set -e
    if [ $status = 0 ]; then
        passed=$((passed + 1))
        echo "ok - ${1//_/ }"
        rm -rf "${work:?}/$1"
    else
        failed=$((failed + 1))
        echo "FAILED - ${1//_/ }"
        sed 's/^/    /' "$work/log"
        if [ -f "$work/$1/said" ]; then sed 's/^/    it said: /' "$work/$1/said"; fi
    fi
}

main() {
    work=$(mktemp -d) passed=0 failed=0
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/mirror"
    for file in "$MNIST"/*-ubyte; do gzip -1c "$file" >"$work/mirror/${file##*/}.gz"; done
    run_all
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
}

main
