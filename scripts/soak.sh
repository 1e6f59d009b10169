#!/usr/bin/env bash
# Run test/faults/load for long: ROUNDS rounds (default 200) of random calls against a model; SEED=n makes the calls of an earlier run.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

find_go
need_root
need_tools ip
say "build bin/patchbay and the reference plugins"
build_patchbay
build_reference
export CGO_ENABLED=0 PATCHBAY_LOAD_ROUNDS=${ROUNDS:-200} PATCHBAY_LOAD_SEED=${SEED:-}
say "load, $PATCHBAY_LOAD_ROUNDS rounds"
as_tester go -C "$ROOT/test" test -exec "$ROOT/scripts/as-root.sh" -count=1 -timeout=0 -v ./faults/load
