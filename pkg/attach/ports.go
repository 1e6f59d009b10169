package attach

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// PortsOf returns the published ports for each mapping: one per family, with the first container address of that family, as in the
// reference portmap. Mappings for a family of which the container has no address are returned as unserved.
func PortsOf(mappings []config.PortMapping, addresses []store.Address) (all []store.Port, unserved []config.PortMapping) {
	for _, m := range mappings {
		before := len(all)
		for _, is4 := range []bool{true, false} {
			i := slices.IndexFunc(addresses, func(a store.Address) bool { return a.Address.Addr().Is4() == is4 })
			if i < 0 || !m.Wants(is4) {
				continue
			}
			p := store.Port{
				Protocol: m.Protocol, HostPort: m.HostPort, Count: m.Count,
				Container: addresses[i].Address.Addr(), ContainerPort: m.ContainerPort,
			}
			if m.Specific() {
				p.HostIP = m.HostIP
			}
			all = append(all, p)
		}
		if len(all) == before {
			unserved = append(unserved, m)
		}
	}
	return all, unserved
}

// reachesItself reports whether the bridge port needs hairpin mode for published ports; see ReachesItself.
func (a *adding) reachesItself() bool {
	return len(a.cfg.Publish.Ports) > 0 && a.cfg.Publish.SNAT && !a.cfg.PromiscMode && link.BridgeCallsNetfilter()
}

// ReachesItself reports whether the bridge port of a record needs hairpin mode for its published ports. With br_netfilter
// (bridge-nf-call-iptables) nftables translates the destination of bridged packets: a packet of a container to a port that it publishes
// itself is not routed, and the bridge must send it back through the port on which it arrived.
func ReachesItself(r *store.Record) bool {
	return r.Publish != nil && !r.Publish.Plain && link.BridgeCallsNetfilter()
}

// noListener returns an error that wraps errPortInUse if a process of the host listens on one of the ports.
func noListener(host *link.Host, ports []store.Port) (err error) {
	eachListener(host, ports, func(p store.Port, by netip.AddrPort) {
		if err == nil {
			err = fmt.Errorf("port %d/%s %w (%s)", by.Port(), p.Protocol, errPortInUse, by)
		}
	})
	return err
}

// eachListener calls each for every socket of the host that listens on one of the ports (sock_diag). An error of the kernel is
// ignored, because the result is used for warnings and for a check that protects only against mistakes.
func eachListener(host *link.Host, ports []store.Port, each func(p store.Port, by netip.AddrPort)) {
	for _, proto := range []string{"tcp", "udp"} {
		of := slices.DeleteFunc(slices.Clone(ports), func(p store.Port) bool { return p.Protocol != proto })
		if len(of) == 0 {
			continue
		}
		only := uint16(0) // all ports: one dump takes no longer than a few queries for single ports
		if len(of) == 1 && of[0].Len() == 1 {
			only = of[0].HostPort
		}
		there, _ := host.Listeners(map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP}[proto], only)
		for _, p := range of {
			for i := range uint16(p.Len()) {
				if by, found := there.At(p.HostAddress(), p.HostPort+i); found {
					each(p, by)
				}
			}
		}
	}
}
