#!/usr/bin/env bash
# Inner part of demo.sh, as root in network and mount namespaces of its own: nothing of it can stay on the machine.
#
#   host: br0 192.0.2.10 ── eth0 ─── LAN switch ─── router 192.0.2.1 | 198.51.100.1 ─── outside 198.51.100.7
set -euo pipefail
STATE=/run/patchbay
NETCONFPATH=$(cd "$(dirname "$0")/../conf" && pwd -P)
. "$(dirname "$0")/demo-steps.sh"

own_directories() {
	mount -t tmpfs tmpfs /run
	mount -t tmpfs tmpfs /var/lib
	mkdir /run/demo
}

# machine NAME makes a namespace that is ready at once: no duplicate address detection.
machine() {
	ip netns add "$1"
	ip netns exec "$1" sysctl -q net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 2>/dev/null || true
	ip -n "$1" link set lo up
}

# wire NAMESPACE LINK NAMESPACE LINK makes a cable between two machines.
wire() {
	ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"
	ip -n "$1" link set "$2" up
	ip -n "$3" link set "$4" up
}

make_lan() {
	machine switch
	machine router
	machine outside
	ip -n switch link add lan0 type bridge
	ip -n switch link set lan0 up
	wire switch to-router router lan
	wire router wan outside eth0
	ip -n switch link set to-router master lan0
	ip -n router address add 192.0.2.1/24 dev lan
	ip -n router -6 address add 2001:db8:0:1::1/64 dev lan nodad
	ip -n router address add 198.51.100.1/24 dev wan
	ip -n router -6 address add 2001:db8:0:2::1/64 dev wan nodad
	ip netns exec router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	ip -n outside address add 198.51.100.7/24 dev eth0
	ip -n outside -6 address add 2001:db8:0:2::7/64 dev eth0 nodad
	ip -n outside route add default via 198.51.100.1
	ip -n outside -6 route add default via 2001:db8:0:2::1
}

# make_br0 is what the owner of this host did long ago: eth0 is a port of br0, br0 has the address.
make_br0() {
	echo 0 >/proc/sys/net/ipv4/ip_forward
	ip link set lo up
	ip link add br0 address 52:54:00:00:02:10 type bridge
	ip link add eth0 type veth peer name to-host netns switch
	ip link set eth0 master br0 up
	ip -n switch link set to-host master lan0 up
	ip link set br0 up
	ip address add 192.0.2.10/24 dev br0
	ip -6 address add 2001:db8:0:1::10/64 dev br0 nodad
	ip route add default via 192.0.2.1
	ip -6 route add default via 2001:db8:0:1::1
}

# hide takes the LAN's machines out of /run/netns: they are not this host's, and not in its picture.
hide() {
	local name
	mkdir /run/lan
	for name in switch router outside; do
		touch "/run/lan/$name"
		mount --bind "/run/netns/$name" "/run/lan/$name"
		ip netns del "$name"
	done
}

listen() {
	nsenter --net=/run/lan/outside tcpdump -l -n -i eth0 'icmp or icmp6' >/run/demo/outside 2>/run/demo/outside.err &
	ear1=$!
	tcpdump -l -n -i br0 'icmp[0] == 5 or icmp6[0] == 137' >/run/demo/redirects 2>/run/demo/redirects.err &
	ear2=$!
	local try
	for try in $(seq 100); do
		grep -q 'listening on' /run/demo/outside.err && grep -q 'listening on' /run/demo/redirects.err && return
		sleep 0.05
	done
	fail "tcpdump does not start"
}

heard() {
	kill -INT "$ear1" "$ear2"
	wait "$ear1" "$ear2" || true
	local own
	own=$(grep -c "IP $(address red 4) > 198.51.100.7: ICMP echo request" /run/demo/outside) || true
	[[ $own -eq 3 ]] || fail "the outside saw $own of 3 requests from the container's own address"
	printf '   tcpdump outside: %d of 3 requests came from %s itself: no NAT\n' "$own" "$(address red 4)"
	own=$(grep -c '[^[:space:]]' /run/demo/redirects) || true
	[[ $own -eq 0 ]] || { cat /run/demo/redirects >&2; fail "$own ICMP redirects"; }
	printf '   tcpdump on br0: 0 ICMP redirects; net.ipv4.ip_forward of the host is %s\n' "$(cat /proc/sys/net/ipv4/ip_forward)"
}

own_directories
step "A host like yours: br0 has the network card eth0 as a port; behind it the LAN, its router, the world"
make_lan
make_br0
hide
inventory >/run/demo/before
picture

step "A namespace: a place of its own with nothing in it but lo"
run ip netns add red
picture

step "ADD: patchbay makes the patch cable (veth), one end born in the namespace, gives addresses and default routes, and plugs the other end into br0"
cni add lan red
picture

step "A second one"
run ip netns add blue
cni add lan blue
picture

step "The neighbour, the gateway, the outside"
listen
pings red "$(address blue 4)" "its neighbour blue"
pings red "$(address blue 6)" "its neighbour blue"
pings red 192.0.2.1 "the gateway"
pings red 2001:db8:0:1::1 "the gateway"
pings red 198.51.100.7 "the outside"
pings red 2001:db8:0:2::7 "the outside"
heard

step "CHECK: is everything still as ADD left it?"
cni check lan red
cni check lan blue
printf '   yes\n'

step "DEL: both cables go"
cni del lan red
cni del lan blue
run ip netns del red
run ip netns del blue
picture

step "Nothing is left"
printf '   scaffolding, which the next container would use again:\n'
find "$STATE" | sed 's/^/     /'
left=$(find "$STATE" -type f ! -name lock ! -name 'last_reserved_ip.*')
[[ -z $left ]] || fail "files are left: $left"
printf '   without it:\n'
run rm -rf "$STATE"
inventory >/run/demo/after
diff /run/demo/before /run/demo/after >&2 || fail "the host is not as it was"
printf '   links, addresses, routes, sysctls and files are as before the first step\n'
printf '\ndemo: %d steps, all as expected\n' "$steps"
