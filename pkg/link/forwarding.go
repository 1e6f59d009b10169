package link

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ForwardingName returns the name of the sysctl that lets the host forward IPv4 packets received on an
// interface, in the form of sysctl(8).
func ForwardingName(ifname string) string {
	return dotted(sysctl("ipv4", "conf", ifname, "forwarding"))
}

// ForwardFrom lets the host forward packets received on a bridge that Patchbay created, if
// net.*.conf.default.forwarding was 0 when it was created. Other bridges are left as they are. The IPv4
// sysctl is set by rtnetlink, which needs no write access to /proc/sys. For IPv6 the kernel consults
// only conf.all.forwarding; the sysctl of the bridge sets the router flag of its neighbour
// advertisements, so failing to set it is no error.
//
// net.ipv4.ip_forward is conf.all.forwarding. A write to it is copied to conf.default and
// to every interface that exists (inet_forward_change); later the kernel consults the value
// of the receiving interface alone. So a host whose ip_forward is 1 does not forward from a
// new bridge if its administrator has set conf.default.forwarding to 0 since, to decide it
// per interface.
//
// The sysctl force_forwarding of Linux 6.17, which enables IPv6 forwarding on one
// interface, is not used: the same binary has to work on older kernels.
func (h *Host) ForwardFrom(b *Bridge, is4 bool) error {
	if !b.Ours {
		return nil
	}
	if !is4 {
		if b.Forwards6 {
			return nil
		}
		return setting{sysctl("ipv6", "conf", b.Name, "forwarding"), "1", optional}.ensure(nil)
	}
	if b.Forwards4 {
		return nil
	}
	if err := h.change(linkHeader{index: b.Index}, inetConf(devconfForwarding)); err != nil {
		return fmt.Errorf("set %s to 1: %w", ForwardingName(b.Name), err)
	}
	b.Forwards4 = true
	return nil
}

// IPV4_DEVCONF_*, linux/ip.h.
const (
	devconfForwarding = 1
	devconfARPNotify  = 22
)

// inetConf returns the attribute of an RTM_NEWLINK that sets an IPv4 sysctl of the interface to 1
// (IFLA_AF_SPEC, AF_INET, IFLA_INET_CONF).
//
// The kernel stores the value without the side effects of the file (inet_set_link_af).
// There are none that a bridge or a new veth would need.
func inetConf(devconf int) *nl.RtAttr {
	const inetConf = 1 // IFLA_INET_CONF, linux/if_link.h
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	spec.AddRtAttr(unix.AF_INET, nil).AddRtAttr(inetConf, nil).AddRtAttr(devconf, nl.Uint32Attr(1))
	return spec
}

// DefaultInterface returns the interface of the host's IPv4 route to the internet; nil without one. Unlike Uplink
// it looks up a single address, of a block that is no longer assigned (192.88.99.0/24, RFC 7526), so the
// kernel does not have to list a routing table of any size.
func (h *Host) DefaultInterface() *Link {
	next, err := h.lookUp(netip.AddrFrom4([4]byte{192, 88, 99, 1}))
	if err != nil || next.kind != unix.RTN_UNICAST {
		return nil
	}
	l, err := h.get(next.link)
	if err != nil {
		return nil
	}
	return l
}
