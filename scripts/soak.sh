#!/usr/bin/env bash
# Run test/faults/load for long; SEED=n makes the calls of an earlier run.
#
#   ROUNDS=200 soak.sh         rounds of random calls against a model
#   TIME=24h EVERY=20 soak.sh  for that time, with `patchbay reload --watch` beside the calls: every 20 rounds memory, descriptors, links, elements,
#                              files and the kernel's memory are measured, printed and kept in .cache/test/soak.tsv; none may grow
set -euo pipefail
. "$(dirname "$0")/lib.sh"

find_go
need_root
need_tools ip nft
say "build bin/patchbay and the reference plugins"
build_patchbay
build_reference
as_builder mkdir -p "$ROOT/.cache/test"
export CGO_ENABLED=0 PATCHBAY_LOAD_ROUNDS=${ROUNDS:-200} PATCHBAY_LOAD_SEED=${SEED:-}
tests=.
if [[ -n ${TIME:-} ]]; then
	tests='^TestSoak$'
	export PATCHBAY_SOAK_TIME=$TIME PATCHBAY_SOAK_EVERY=${EVERY:-20} PATCHBAY_SOAK_FILE=$ROOT/.cache/test/soak.tsv
	say "soak, $TIME; samples are kept in .cache/test/soak.tsv"
else
	say "load, $PATCHBAY_LOAD_ROUNDS rounds"
fi
as_tester go -C "$ROOT/test" test -exec "$ROOT/scripts/as-root.sh" -count=1 -timeout=0 -v -run "$tests" ./faults/load
