#!/usr/bin/env bash
# Compare ADD and DEL of patchbay, of the reference bridge plugin and of the kernel alone. BENCH=quick is a short run; default full.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need_root
need_tools iptables nft
say "build"
build_patchbay
build_reference
build_test bench
build_test bench/nothing
# The drop-in contender: the program under the names of the reference plugins.
as_builder mkdir -p "$PATCHBAY_CACHE_BIN/dropin"
for name in bridge host-local portmap firewall tuning bandwidth; do
	as_builder cp --remove-destination "$PATCHBAY_BIN" "$PATCHBAY_CACHE_BIN/dropin/$name"
done
export BENCH=${BENCH:-full}
as_root "$PATCHBAY_CACHE_BIN/bench"
