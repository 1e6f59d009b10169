#!/usr/bin/env bash
# Run every test: built as the invoking user, run as root, each in network namespaces of its own.
# RUN=regexp runs only the tests that match, and leaves the claims out.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

events=$ROOT/.cache/test/events.json
started=$ROOT/.cache/test/started
failed=0

prepare() {
	find_go
	need_root
	need_tools ip bridge ping tcpdump strace nft iptables setpriv unshare nsenter python3
	say "build bin/patchbay, the reference plugins and cnitool"
	build_patchbay
	build_next
	build_reference
	unpack_program dnsmasq dnsmasq-base
	unpack_containerd
	unpack_lxc
	unpack_firewalls
	unpack_sandboxes
	build_containerd2
	build_test claims
	build_tool gotestsum
	as_builder mkdir -p "${events%/*}"
	as_builder touch "$started"
}

run_tests() {
	say "test; the events are kept in ${events#"$ROOT"/}"
	as_tester "$PATCHBAY_CACHE_BIN/gotestsum" --format "${FORMAT:-testname}" --jsonfile "$events" \
		--raw-command -- "$ROOT/scripts/test-events.sh" || failed=1
}

check_claims() {
	[[ -n ${RUN:-} ]] && return
	say "claims: is every promise of test/claims.md kept by a test that ran?"
	as_builder "$PATCHBAY_CACHE_BIN/claims" "$ROOT/test/claims.md" "$events" || failed=1
}

# What the tests ran as root must not leave root's files in a tree that is somebody else's.
check_owner() {
	[[ $(builder_uid) -eq 0 ]] && return
	local left
	left=$(find "$ROOT" -name .git -prune -o -user 0 -newer "$started" -print)
	[[ -z $left ]] && return
	printf 'left by root:\n%s\n' "$left" >&2
	failed=1
}

prepare
run_tests
check_claims
check_owner
exit "$failed"
