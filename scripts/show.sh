#!/usr/bin/env bash
# Trains the models for pages of text and holds them beside what people use today: tables, pictures and
# the figures as JSON, in runs/show. --help says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

measure_beside_rivals show "$@"
