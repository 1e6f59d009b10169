#!/usr/bin/env bash
# Build the static binaries bin/patchbay and bin/patchbay-agent. Needs no root and leaves nothing of root's behind under sudo.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

build_patchbay
build_agent
