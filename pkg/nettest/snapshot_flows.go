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

// addFlows adds the UDP and SCTP flows whose destination connection tracking translates. A published
// port leaves such flows, and unlike TCP connections they do not end by themselves soon. Clients are
// omitted, and the ports of SCTP, which the library does not decode: a fact is a host port and its
// destination. It must run inside the namespace.
func (s *Snapshot) addFlows() error {
	count, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	if err != nil || strings.TrimSpace(string(count)) == "0" { // a dump walks through the table of all namespaces
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
