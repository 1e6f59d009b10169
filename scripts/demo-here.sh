#!/usr/bin/env bash
# Inner part of demo.sh with HERE=1, as root on the real host: a bridge of its own, two namespaces, nothing else is touched.
set -euo pipefail
BRIDGE=patchbay-demo
STATE=/run/patchbay-demo
NETCONFPATH=$(mktemp -d)
. "$(dirname "$0")/demo-steps.sh"

ours() { [[ $(cat "/sys/class/net/$BRIDGE/ifalias" 2>/dev/null) == patchbay:bridge ]]; }

refuse_what_is_there() {
	[[ ! -e /sys/class/net/$BRIDGE ]] || fail "there is a bridge $BRIDGE already; remove it first: ip link del $BRIDGE"
	[[ ! -e $STATE ]] || fail "there is $STATE already; remove it first"
	local name
	for name in patchbay-red patchbay-blue; do
		[[ ! -e /run/netns/$name ]] || fail "there is a namespace $name already; remove it first: ip netns del $name"
	done
}

# clean_up goes on past errors: it also runs where a step failed.
clean_up() {
	local name
	for name in patchbay-red patchbay-blue; do
		[[ -e /run/netns/$name ]] || continue
		"$CNITOOL" del demo "/run/netns/$name" >/dev/null || true
		ip netns del "$name" || true
	done
	if ours; then ip link del "$BRIDGE"; fi # made by this demo: it was not there before
	rm -rf "$STATE" "$NETCONFPATH"
	if [[ -n $no_cache ]]; then # cnitool, as every caller with libcni, keeps results here
		rmdir /var/lib/cni/results /var/lib/cni 2>/dev/null || true
	fi
}

# traces lists whatever this host has that could be the demo's.
traces() {
	ip -o link | grep -F -e " $BRIDGE:" -e " demo/cnitool-" || true
	ip -o address | grep -F " 203.0.113." || true
	ip -4 route show table all | grep -F "203.0.113." || true
	find "$STATE" /run/netns/patchbay-* /run/patchbay-demo.out /var/lib/cni/results/demo-* 2>/dev/null || true
	[[ -n $no_cache ]] && find /var/lib/cni 2>/dev/null || true
}

configure() {
	cat >"$NETCONFPATH/demo.conflist" <<-JSON
		{"cniVersion": "1.0.0", "name": "demo", "plugins": [{
		  "type": "patchbay", "bridge": "$BRIDGE", "isDefaultGateway": true, "stateDir": "$STATE",
		  "ipam": {"type": "patchbay", "ranges": [[{"subnet": "203.0.113.0/24"}]]}}]}
	JSON
}

no_cache=
[[ -e /var/lib/cni ]] || no_cache=1
refuse_what_is_there
before=$(traces)
trap clean_up EXIT
configure
forward=$(cat /proc/sys/net/ipv4/ip_forward)

step "This host, and two namespaces"
run ip netns add patchbay-red
run ip netns add patchbay-blue

step "ADD: a bridge of its own, $BRIDGE, and a veth pair to each"
cni add demo patchbay-red
cni add demo patchbay-blue
picture --bridge "$BRIDGE"

step "The neighbour and the gateway"
pings patchbay-red "$(address patchbay-blue 4)" "its neighbour"
pings patchbay-red 203.0.113.1 "the gateway"

step "CHECK and DEL"
cni check demo patchbay-red
cni del demo patchbay-red
cni del demo patchbay-blue
picture --bridge "$BRIDGE"

step "What remains on this host"
trap - EXIT
clean_up
after=$(traces)
[[ $after == "$before" ]] || { diff <(echo "$before") <(echo "$after") >&2 || true; fail "this is left"; }
printf '   of this demo: no link, no address, no file, no namespace\n'
if [[ $(cat /proc/sys/net/ipv4/ip_forward) != "$forward" ]]; then
	printf '   net.ipv4.ip_forward is 1, it was %s: sudo sysctl net.ipv4.ip_forward=%s\n' "$forward" "$forward"
fi
printf '\ndemo: %d steps, all as expected\n' "$steps"
