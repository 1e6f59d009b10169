package link

import (
	"fmt"
	"net/netip"
	"strconv"
)

// MaxPorts is the number of ports that Linux allows per bridge (BR_MAX_PORTS is 1024; port 0 is not used).
const MaxPorts = 1023

// BridgeCalls reports whether bridged packets of a family traverse the host's iptables and nftables
// rules (module br_netfilter, sysctl bridge-nf-call-iptables or bridge-nf-call-ip6tables).
//
// The files exist while br_netfilter is loaded, per network namespace since Linux 5.3. Both
// are 1 by default: loading the module, which Kubernetes and docker do, changes what every
// bridge of the host does.
func BridgeCalls(is4 bool) bool {
	name := "bridge-nf-call-ip6tables"
	if is4 {
		name = "bridge-nf-call-iptables"
	}
	return getSysctl(sysctl("bridge", name)) == "1"
}

// BridgeCallsNetfilter reports whether BridgeCalls is true for either family.
func BridgeCallsNetfilter() bool { return BridgeCalls(true) || BridgeCalls(false) }

// ReversePath returns the strictness of the reverse path check for IPv4 packets received on an
// interface (sysctl rp_filter): 0 no check, 1 the route back must use this interface, 2 any interface.
// The kernel takes the maximum of conf.all and the interface (Documentation/networking/ip-sysctl.rst).
//
// conf.default is not consulted: it is the value with which new interfaces begin.
func ReversePath(ifname string) int {
	strict := 0
	for _, name := range []string{"all", ifname} {
		n, _ := strconv.Atoi(getSysctl(sysctl("ipv4", "conf", name, "rp_filter")))
		strict = max(strict, n)
	}
	return strict
}

// InterfaceTo returns the name of the interface by which the host sends to an address. Errors wrap the
// kernel's, such as ENETUNREACH.
func (h *Host) InterfaceTo(addr netip.Addr) (ifname string, err error) {
	route, err := h.lookUp(addr)
	if err != nil {
		return "", fmt.Errorf("look up route to %s: %w", addr, err)
	}
	l, err := h.get(route.link)
	if err != nil {
		return "", err
	}
	return l.Name, nil
}
