#!/usr/bin/env bash
# Trains the models for pages of text and holds them beside what people use today: tables, pictures and
# the figures as JSON, in runs/show. --help says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# Python would leave __pycache__ among the scripts.
export PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1
REQUIREMENTS=scripts/requirements-show.txt

wants_help() { case " $* " in *" -h "* | *" --help "*) true ;; *) false ;; esac }

# Packages that only this script needs, in .venv beside the others.
install_rivals() {
    local stamp=.venv/requirements-show.sha256
    if [ "$(cat $stamp 2>/dev/null)" = "$(sha256_of $REQUIREMENTS)" ]; then return; fi
    say "installing the packages of $REQUIREMENTS: 50 MB."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r $REQUIREMENTS >&2 || fail \
        "pip could not install $REQUIREMENTS; its own message is above." \
        "Check the network and run this again."
    sha256_of $REQUIREMENTS >$stamp
}

scripts/setup.sh --python
install_rivals
if ! wants_help "$@"; then
    say "building convae."
    cargo build --locked
fi
exec .venv/bin/python -m show --built "${CARGO_TARGET_DIR:-target}/debug" "$@"
