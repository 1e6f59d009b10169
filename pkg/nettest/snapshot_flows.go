package nettest

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// addFlows states the flows of UDP and SCTP that connection tracking sends elsewhere than they were
// sent to: what a published port leaves, and what outlives it if nobody ends it. A flow has no end
// of its own that comes soon, a connection of TCP has. The clients are left out: what is told is
// which port of the host still leads where; of SCTP the ports too, which the library does not read.
// It must run inside the namespace.
func (s *Snapshot) addFlows() error {
	count, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	if err != nil || strings.TrimSpace(string(count)) == "0" { // a dump is a walk through the table of all namespaces
		return nil
	}
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		list, err := dump(func() ([]*netlink.ConntrackFlow, error) {
			return netlink.ConntrackTableList(netlink.ConntrackTable, family)
		})
		if err != nil {
			return fmt.Errorf("flows: %w", err)
		}
		for _, f := range list {
			s.addFlow(f)
		}
	}
	return nil
}

func (s *Snapshot) addFlow(f *netlink.ConntrackFlow) {
	names := map[uint8]string{unix.IPPROTO_UDP: "udp", unix.IPPROTO_SCTP: "sctp"}
	to, end := endpoint(f.Forward.DstIP, f.Forward.DstPort), endpoint(f.Reverse.SrcIP, f.Reverse.SrcPort)
	if name := names[f.Forward.Protocol]; name != "" && to != end {
		s.set("", "present", "flow", name, to.String(), "to", end.String())
	}
}

func endpoint(ip net.IP, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr.Unmap(), port)
}
