# What the scripts share: how they speak to the user, fetch files and check them.
# Functions only; sourcing this file does nothing and touches nothing.
# shellcheck shell=bash

# Each argument is a line of its own, under the name of the script that speaks. All talk goes to
# stderr, so that stdout belongs to the program that run.sh starts.
say() {
    local script=${0##*/}
    printf "${script%.sh}: %s\n" "$@" >&2
}

fail() { # WHAT-FAILED... WHAT-TO-DO
    say "$@"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Progress bars are for people: in a log each redraw would be a line of its own.
someone_is_watching() { [ -t 2 ]; }

sha256_of() { # FILE
    if have sha256sum; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}

fetch() { # URL FILE; returns non-zero when the download fails
    if have curl; then
        local how=-sS
        if someone_is_watching; then how=--progress-bar; fi
        curl -fL "$how" --retry 2 --connect-timeout 20 -o "$2" "$1"
    elif have wget; then
        if someone_is_watching; then wget -O "$2" "$1"; else wget -nv -O "$2" "$1"; fi
    else
        say "neither curl nor wget is installed: install one of them (apt install curl)."
        return 1
    fi
}

need_disk_space() { # MEGABYTES PURPOSE
    local free
    free=$(($(df -Pk . | awk 'NR == 2 { print $4 }') / 1024))
    [ "$free" -ge "$1" ] || fail \
        "$2 needs $1 MB of free disk space in $PWD, which has $free MB." \
        "Free some space there and run this again."
}

wants_help() { case " $* " in *" -h "* | *" --help "*) true ;; *) false ;; esac }

# What people use beside convae, which only comparisons need: into .venv beside the other packages.
install_rivals() {
    local requirements=scripts/requirements-show.txt stamp=.venv/requirements-show.sha256
    if [ "$(cat $stamp 2>/dev/null)" = "$(sha256_of $requirements)" ]; then return; fi
    say "installing the packages of $requirements: 50 MB."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r $requirements >&2 || fail \
        "pip could not install $requirements; its own message is above." \
        "Check the network and run this again."
    sha256_of $requirements >$stamp
}

# Builds convae and lets a Python module measure it beside what people use today; --help needs no build.
measure_beside_rivals() { # MODULE ARGUMENTS...
    scripts/setup.sh --python
    install_rivals
    run_with_convae "$@"
}

# The same beside nothing but the packages of scripts/requirements.txt.
measure() { # MODULE ARGUMENTS...
    scripts/setup.sh --python
    run_with_convae "$@"
}

run_with_convae() { # MODULE ARGUMENTS...
    local module=$1
    shift
    # Python would leave __pycache__ among the scripts.
    export PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1
    if ! wants_help "$@"; then
        say "building convae."
        cargo build --locked
    fi
    exec .venv/bin/python -m "$module" --built "${CARGO_TARGET_DIR:-target}/debug" "$@"
}
