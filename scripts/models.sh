#!/usr/bin/env bash
# Trains the two denoisers of photographs that lie in models/, and measures them: gathers freely licensed photographs
# in data/models, trains in runs/models, and writes weights, figures and the card's tables in models/. --help says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

measure models "$@"
