#!/usr/bin/env bash
# Print the events of every test, as `go test -json` does; scripts/test.sh runs this under gotestsum.
# Everything is built as the user who calls; tests of the kernel and of the binary run as root.
set -uo pipefail
. "$(dirname "$0")/lib.sh"

failed=0
as_root=(-exec "$ROOT/scripts/as-root.sh")
raced='/pkg/(config|interrupt|ipam|store)$'

# packages MODULE GREP-ARG... lists the packages of a module that grep lets through.
packages() { go -C "$ROOT/$1" list ./... | grep -E "${@:2}"; }

# events MODULE GO-TEST-ARG... runs tests of one module; with no package named it has nothing to do.
events() {
	[[ ${*: -1} == -* ]] && return
	go -C "$ROOT/$1" test -json -count=1 -timeout=20m ${RUN:+-run="$RUN"} "${@:2}" || failed=1
}

find_go
export CGO_ENABLED=0
# The race detector needs cgo. Where there is a C compiler, the rooms that enter no namespace are run with it.
if [[ -n $(command -v gcc clang) ]]; then
	mapfile -t names < <(packages . "$raced")
	CGO_ENABLED=1 events . -race "${as_root[@]}" "${names[@]}"
	mapfile -t names < <(packages . -v "$raced")
else
	mapfile -t names < <(packages . .)
fi
events . "${as_root[@]}" "${names[@]}"
mapfile -t names < <(packages test '/test/(structure|claims)$')
events test "${names[@]}"
mapfile -t names < <(packages test -v '/test/(structure|claims|bench)$')
# One package at a time: some count packets, and share the machine only with their own kind.
events test -p=1 "${as_root[@]}" "${names[@]}"
exit "$failed"
