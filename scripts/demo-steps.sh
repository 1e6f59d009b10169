# Shared by the two demos; source it, do not run it. The sourcing script sets NETCONFPATH and STATE.
# shellcheck shell=bash

BIN=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)/bin
CNITOOL=$BIN/../.cache/bin/cnitool
export CNI_PATH=$BIN NETCONFPATH
steps=0

# step WORDS... says what comes next and counts.
step() {
	steps=$((steps + 1))
	printf '\n── %d. %s\n' "$steps" "$*"
}

# run COMMAND... shows a command and runs it.
run() {
	printf '   $ %s\n' "$*"
	"$@"
}

fail() {
	printf '\ndemo: FAILED at step %d: %s\n' "$steps" "$*" >&2
	exit 1
}

set -o errtrace
trap 'fail "$BASH_COMMAND"' ERR

picture() { "$BIN/patchbay" show --state-dir "$STATE" "$@" | sed 's/^/   /'; }

# cni VERB NETWORK NAMESPACE calls the plugin by cnitool; what ADD answers is kept out of the way.
cni() {
	printf '   $ cnitool %s %s /run/netns/%s\n' "$1" "$2" "$3"
	"$CNITOOL" "$1" "$2" "/run/netns/$3" >/run/patchbay-demo.out || { cat /run/patchbay-demo.out >&2; rm -f /run/patchbay-demo.out; fail "$1 of $3"; }
	rm -f /run/patchbay-demo.out
}

# address NAMESPACE FAMILY prints the address of eth0.
address() { ip -n "$1" -o "-$2" address show dev eth0 scope global | awk '{sub("/.*", "", $4); print $4; exit}'; }

# firewall_hint names the commonest reason why frames of one bridge do not arrive.
firewall_hint() {
	[[ $(cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null) == 1 ]] || return 0
	printf '; net.bridge.bridge-nf-call-iptables is 1, so that a firewall (docker, ufw) filters bridged frames too'
}

# pings NAMESPACE ADDRESS WHAT sends three echoes and wants three answers.
pings() {
	local out
	out=$(ip netns exec "$1" ping -n -c 3 -i 0.2 -W 2 "$2") || { printf '%s\n' "$out" >&2; fail "$1 does not reach $3 ($2)$(firewall_hint)"; }
	printf '   %s pings %s, %s: %s\n' "$1" "$3" "$2" "$(grep -o '[0-9]* received' <<<"$out")"
}

# inventory prints everything an attachment could leave behind.
inventory() {
	ip -o link | sed 's/^[0-9]*: //; s/ qlen.*//'
	ip -o address | awk '$4 !~ /^fe80/ {print $2, $3, $4}'
	ip -4 route show table all | sort
	ip -6 route show table all | grep -v 'fe80\|^multicast\|^anycast' | sort # the kernel makes those when it likes
	cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding
	find "$STATE" /var/lib/patchbay 2>/dev/null | sort || true
}
