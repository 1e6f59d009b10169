#!/usr/bin/env bash
# Inner part of demo.sh, as root in network and mount namespaces of its own: nothing of it can stay on the machine.
#
#   host: br0 192.0.2.10 ── eth0 ─── LAN switch ─── router 192.0.2.1 | 198.51.100.1 ─── outside 198.51.100.7
set -euo pipefail
STATE=/run/patchbay
NETCONFPATH=$(cd "$(dirname "$0")/../conf" && pwd -P)
. "$(dirname "$0")/demo-steps.sh"

# own_directories gives the host its own /run and /var/lib; a tree that lies below one of them stays visible.
own_directories() {
	local root dir
	root=$(cd "$(dirname "$0")/.." && pwd -P)
	exec {tree}<"$root"
	for dir in /run /var/lib; do
		mount -t tmpfs tmpfs $dir
		[[ $root == $dir/* ]] || continue
		mkdir -p "$root"
		mount --no-canonicalize --bind "/proc/self/fd/$tree" "$root"
	done
	exec {tree}<&-
	mkdir /run/demo
}

# machine NAME makes a namespace that is ready at once: no duplicate address detection.
machine() {
	ip netns add "$1"
	ip netns exec "$1" sysctl -q net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 2>/dev/null || true
	ip -n "$1" link set lo up
}

# wire NAMESPACE LINK NAMESPACE LINK creates a veth pair between two machines.
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

# make_card puts the host on the LAN, as most are: the address is on the network card.
make_card() {
	echo 0 >/proc/sys/net/ipv4/ip_forward
	ip link set lo up
	ip link add eth0 type veth peer name to-host netns switch
	ip -n switch link set to-host master lan0 up
	ip link set eth0 up
	lan_address eth0
}

# lan_address LINK gives the host its address on the LAN.
lan_address() {
	ip address add 192.0.2.10/24 dev "$1"
	ip -6 address add 2001:db8:0:1::10/64 dev "$1" nodad
	ip route add default via 192.0.2.1
	ip -6 route add default via 2001:db8:0:1::1
}

# make_br0 is what the owner of such a host does once: the card becomes a port of br0, br0 gets the address.
make_br0() {
	ip link add br0 address 52:54:00:00:02:10 type bridge
	ip -6 route del default
	ip address flush dev eth0 scope global
	ip link set eth0 master br0
	ip link set br0 up
	lan_address br0
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

# ear NAME NAMESPACE LINK FILTER writes what passes a link to /run/demo/NAME, a line a packet, and puts its process into $ear.
ear() {
	nsenter --net="$2" tcpdump -l -n -U --immediate-mode -Z root -i "$3" "$4" >"/run/demo/$1" 2>"/run/demo/$1.err" &
	ear=$!
	local try
	for try in $(seq 200); do
		grep -q 'listening on' "/run/demo/$1.err" && return
		sleep 0.05
	done
	cat "/run/demo/$1.err" >&2
	fail "tcpdump does not start"
}

# requests FAMILY prints how many echo requests the outside has seen from red's own address.
requests() {
	local outside=198.51.100.7
	[[ $1 == 4 ]] || outside=2001:db8:0:2::7
	grep -c " $(address red "$1") > $outside: .*echo request" /run/demo/outside || true
}

# own_address FAMILY wants the three echo requests of pings; tcpdump may be a moment behind.
own_address() {
	local try seen=0
	for try in $(seq 100); do
		seen=$(requests "$1")
		[[ $seen -ge 3 ]] && break
		sleep 0.05
	done
	[[ $seen -eq 3 ]] || { cat /run/demo/outside >&2; fail "the outside saw $seen of 3 requests from $(address red "$1"), the container's own address"; }
	printf '   tcpdump outside: %d of 3 requests came from %s itself: no NAT\n' "$seen" "$(address red "$1")"
}

# heard prints what the two captures have seen.
heard() {
	own_address 4
	own_address 6
	kill -INT "$@"
	wait "$@" || true
	local redirects
	redirects=$(grep -c '[^[:space:]]' /run/demo/redirects) || true
	[[ $redirects -eq 0 ]] || { cat /run/demo/redirects >&2; fail "$redirects ICMP redirects"; }
	printf '   tcpdump on br0: 0 ICMP redirects; net.ipv4.ip_forward of the host is %s\n' "$(cat /proc/sys/net/ipv4/ip_forward)"
}

trap 'exit 130' INT TERM # the first process of a process namespace is deaf without a trap
own_directories
step "A host like yours: eth0 is its network card, behind it a LAN with a router"
make_lan
make_card
hide
picture
printf '   Its owner makes a bridge, br0, plugs eth0 into it and moves the address there:\n'
make_br0
picture
inventory >/run/demo/before

step "A namespace: a place of its own with nothing in it but lo"
run ip netns add red
picture

step "ADD: a veth pair from br0 to red, addresses, default routes"
cni add lan red
picture

step "A second namespace, a second veth pair"
run ip netns add blue
cni add lan blue
picture

step "The neighbour, the gateway, the outside"
ear outside /run/lan/outside eth0 'icmp or icmp6'
outside=$ear
ear redirects /proc/self/ns/net br0 'icmp[0] == 5 or icmp6[0] == 137'
pings red "$(address blue 4)" "its neighbour blue"
pings red "$(address blue 6)" "its neighbour blue"
pings red 192.0.2.1 "the gateway"
pings red 2001:db8:0:1::1 "the gateway"
pings red 198.51.100.7 "the outside"
pings red 2001:db8:0:2::7 "the outside"
heard "$outside" "$ear"

step "CHECK: is everything still as ADD left it?"
cni check lan red
cni check lan blue
printf '   yes\n'

step "DEL: both veth pairs are deleted"
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
printf '   links, addresses, routes, sysctls and files are as before the first step with patchbay\n'
printf '\ndemo: %d steps, all as expected\n' "$steps"
