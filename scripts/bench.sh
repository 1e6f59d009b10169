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
export BENCH=${BENCH:-full}
as_root "$PATCHBAY_CACHE_BIN/bench"
