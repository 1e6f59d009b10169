package link

import (
	"fmt"
	"net/netip"
	"strconv"
)

// MostPorts is how many ports Linux gives a bridge (BR_MAX_PORTS, less port 0).
const MostPorts = 1023

// BridgeCalls reports whether bridged packets of a family are shown to the host's ruleset (module
// br_netfilter, sysctl bridge-nf-call-iptables or -ip6tables).
func BridgeCalls(is4 bool) bool {
	name := "bridge-nf-call-ip6tables"
	if is4 {
		name = "bridge-nf-call-iptables"
	}
	return getSysctl(sysctl("bridge", name)) == "1"
}

// BridgeCallsNetfilter is BridgeCalls of any family.
func BridgeCallsNetfilter() bool { return BridgeCalls(true) || BridgeCalls(false) }

// ReversePath is how strictly the kernel looks, of an IPv4 packet that comes in by an interface,
// whether the way back leads there (sysctl rp_filter): 0 not at all, 1 by this interface, 2 by any.
func ReversePath(ifname string) int {
	strict := 0
	for _, name := range []string{"all", ifname} {
		n, _ := strconv.Atoi(getSysctl(sysctl("ipv4", "conf", name, "rp_filter")))
		strict = max(strict, n)
	}
	return strict
}

// WayTo is the interface by which the host sends to an address. Errors are the kernel's, such as
// network unreachable.
func (h *Host) WayTo(addr netip.Addr) (ifname string, err error) {
	way, err := h.lookUp(addr)
	if err != nil {
		return "", fmt.Errorf("look up route to %s: %w", addr, err)
	}
	l, err := h.get(way.link)
	if err != nil {
		return "", err
	}
	return l.Name, nil
}
