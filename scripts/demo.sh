#!/usr/bin/env bash
# The main job, step by step, with a picture after each: two namespaces become machines of the LAN behind br0.
# It runs in a host that is a namespace and vanishes with it; HERE=1 uses this machine, on a bridge of its own.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

find_go
need_root
need_tools ip bridge ping tcpdump unshare nsenter mount sysctl
say "build bin/patchbay and cnitool"
build_patchbay
build_cnitool
if [[ -n ${HERE:-} ]]; then
	as_root "$ROOT/scripts/demo-here.sh"
	exit
fi
# A process namespace too: however the demo ends, whatever it started ends with it, and the host with that.
as_root unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc -- "$ROOT/scripts/demo-host.sh"
