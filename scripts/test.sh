#!/usr/bin/env bash
# Run tests: built as the invoking user, run as root, each in network namespaces of its own.
#
#   test.sh quick      what needs nothing but plain tools and Go modules, with a sample of the crash and fault tests (make test)
#   test.sh runtimes   with programs of other projects, and the crash, fault, load and version tests (make test-runtimes)
#   test.sh claims     check the events of both runs, of make test-boot, test-cluster and cluster: every promise is kept by a test that ran and passed (make claims)
#
# RUN=regexp runs only the tests that match, and leaves the claims out. Of the kills and faults runtimes runs a third, another one each day;
# PATCHBAY_FAULTS=all runs all.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

part=${1:-quick}
kept=$ROOT/.cache/test
started=$kept/started
failed=0

prepare() {
	find_go
	need_root
	need_tools ip bridge ping tcpdump strace nft iptables setpriv unshare nsenter python3 zsh fish groff
	say "build bin/patchbay, the reference plugins and cnitool"
	build_patchbay
	build_next
	build_reference
	"prepare_$part"
	build_test repo/claims
	build_tool gotestsum
	as_builder mkdir -p "$kept"
	as_builder touch "$started"
}

prepare_quick() { unpack_program dnsmasq dnsmasq-base; }

prepare_runtimes() {
	unpack_containerd
	unpack_podman
	unpack_lxc
	unpack_firewalls
	unpack_sandboxes
	unpack_pictures
	unpack_rpm
	build_release
	build_containerd2
	build_callers
	build_nerdctl
	build_lan
	build_etcd
}

run_tests() {
	local events=$kept/$part.json
	say "test; the events are kept in ${events#"$ROOT"/}"
	as_tester "$PATCHBAY_CACHE_BIN/gotestsum" --format "${FORMAT:-testname}" --jsonfile "$events" \
		--raw-command -- "$ROOT/scripts/test-events.sh" "$part" || failed=1
}

# check_claims ARG... runs the checker with these arguments.
check_claims() {
	[[ -n ${RUN:-} ]] && return
	say "claims: check that a test that ran keeps every promise of test/claims.md"
	as_builder "$PATCHBAY_CACHE_BIN/claims" "$@" || failed=1
}

# say_third says which third of the kills and faults is in the events.
say_third() {
	local third
	third=$(grep -om1 'PATCHBAY_FAULTS=[0-2]' "$kept/runtimes.json") || return 0
	say "claims: a third of the kills and faults ran, $third; PATCHBAY_FAULTS=all runs all"
}

# Of these packages make test runs a part.
sampled() { [[ $part != quick ]] || echo -sampled=test/faults,test/faults/crash,test/faults/power; }

# What the tests ran as root must not leave root's files in a tree that another user owns.
check_owner() {
	[[ $(builder_uid) -eq 0 ]] && return
	local left
	left=$(find "$ROOT" -name .git -prune -o -user 0 -newer "$started" -print)
	[[ -z $left ]] && return
	printf 'left by root:\n%s\n' "$left" >&2
	failed=1
}

case $part in
	quick | runtimes)
		prepare
		[[ $part == quick ]] || choose_third
		run_tests
		# shellcheck disable=SC2046
		check_claims $(sampled) "$ROOT" "$kept/$part.json"
		[[ $part == quick ]] || say_third
		check_owner
		;;
	claims)
		build_test repo/claims
		ran=("$kept/quick.json" "$kept/runtimes.json")
		without=
		for run in test-boot=boot test-cluster=cluster cluster=cluster/nodes; do
			name=${run#*=}
			if [[ -s $kept/${name##*/}.json ]]; then
				ran+=("$kept/${name##*/}.json")
			else
				say "claims: make ${run%=*} has not run; the claims of test/$name are not checked"
				without+=${without:+,}test/$name/...
			fi
		done
		check_claims -all ${without:+-sampled="$without"} "$ROOT" "${ran[@]}"
		say_third
		;;
	*) die "usage: test.sh quick|runtimes|claims" ;;
esac
exit "$failed"
