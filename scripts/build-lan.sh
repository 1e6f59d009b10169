#!/usr/bin/env bash
# Build the static binary bin/patchbay-lan. Needs no root and leaves nothing of root's behind under sudo.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

build_lan
