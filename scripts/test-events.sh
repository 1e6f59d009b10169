#!/usr/bin/env bash
# Print the events of the tests of one part, quick or runtimes, as `go test -json` does; scripts/test.sh runs this under gotestsum.
# Everything is built as the user who calls; tests of the kernel and of the binary run as root.
set -uo pipefail
. "$(dirname "$0")/lib.sh"

failed=0
as_root=(-exec "$ROOT/scripts/as-root.sh")
# The packages that enter no namespace; the race detector runs on these.
raced='/pkg/(config|ipam|store)$'
# Tests of the repository itself, which need no root.
rootless='/test/repo/(structure|claims|mutants)$'
# The packages of make test-runtimes: programs of other projects, and the longest tests.
slow='/test/(runtimes(/.*)?|firewalls(/.*)?|faults|faults/(chaos|crash|power|load|versions)|verbs/(reported|names|confs)|ipam/(takeover|delegated)|network/(portowner|firstpacket|bandwidth|sbr|attacks|ruleset|explain)|cli/(install|bridge|pictures)|conformance/reference|repo/(parity|security|dist))$'

# packages MODULE GREP-ARG... lists the packages of a module that grep lets through.
packages() { go -C "$ROOT/$1" list ./... | grep -E "${@:2}"; }

# events MODULE GO-TEST-ARG... runs tests of one module, each package for TIMEOUT at most. Without a package as its last argument it runs nothing.
events() {
	[[ ${*: -1} == -* ]] && return
	go -C "$ROOT/$1" test -json -count=1 -timeout="${TIMEOUT:-40m}" ${RUN:+-run="$RUN"} "${@:2}" || failed=1
}

# compile MODULE PACKAGE... compiles tests on all cores before they run one package at a time.
compile() { go -C "$ROOT/$1" list -export -test -f '' "${@:2}" >/dev/null || failed=1; }

# one_at_a_time PACKAGE...: some tests count packets, and share the machine only with tests of their own package.
one_at_a_time() {
	compile test "$@"
	events test -p=1 "${as_root[@]}" "$@"
}

# sample runs a part of the longest packages: ADD and DEL of one network of the crash tests, ADD of one network of the fault tests, and the disks of
# two networks with power failures.
sample() {
	[[ -z ${RUN:-} ]] || return
	events test "${as_root[@]}" -run '^TestCrash$/^all$/^ports$/^(ADD|DEL)$|^TestCallsFile$' ./faults/crash
	events test "${as_root[@]}" -run '^(TestSample|TestCommandsWriteNothing)$' ./faults/power
	events test "${as_root[@]}" -run '^TestFaults$/^masquerade$/^ADD$|^TestRefusedWhole' ./faults
}

quick() {
	local names
	# The race detector needs cgo, which needs a C compiler.
	if [[ -n $(command -v gcc clang) ]]; then
		mapfile -t names < <(packages . "$raced")
		CGO_ENABLED=1 events . -race "${as_root[@]}" "${names[@]}"
		mapfile -t names < <(packages . -v "$raced")
	else
		mapfile -t names < <(packages . .)
	fi
	events . "${as_root[@]}" "${names[@]}"
	events plugins/patchbay-agent ./...
	mapfile -t names < <(packages test "$rootless")
	events test "${names[@]}"
	mapfile -t names < <(packages test -v "$rootless|$slow|/test/(bench|boot|cluster)")
	one_at_a_time "${names[@]}"
	sample
}

runtimes() {
	local names
	mapfile -t names < <(packages test "$slow")
	one_at_a_time "${names[@]}"
	compile test/lan ./...
	events test/lan -p=1 "${as_root[@]}" ./...
}

find_go
export CGO_ENABLED=0
case ${1:-} in
	quick | runtimes) "$1" ;;
	*) die "usage: test-events.sh quick|runtimes" ;;
esac
exit "$failed"
