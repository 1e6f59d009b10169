#!/usr/bin/env bash
# Run one command as root: `go test -exec scripts/as-root.sh` builds a test as you and runs it as root.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

as_root "$@"
