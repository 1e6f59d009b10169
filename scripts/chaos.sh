#!/usr/bin/env bash
# Run TestChaos of test/runtimes/containerd for TIME (default 1h). A failure prints seed and round: SEED=n ROUND=n makes the calls of that round again.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

find_go
need_root
need_tools ip nft sysctl
say "build bin/patchbay, the other version and the reference plugins; unpack containerd"
build_patchbay
build_next
build_reference
unpack_containerd
export CGO_ENABLED=0 PATCHBAY_CHAOS_TIME=${TIME:-1h} PATCHBAY_CHAOS_SEED=${SEED:-} PATCHBAY_CHAOS_ROUND=${ROUND:-}
say "chaos, $PATCHBAY_CHAOS_TIME"
as_tester go -C "$ROOT/test" test -exec "$ROOT/scripts/as-root.sh" -count=1 -timeout=0 -v -run '^TestChaos$' ./runtimes/containerd
