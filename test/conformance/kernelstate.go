package conformance

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// has reports whether a namespace has an interface of this name.
func has(n *nettest.Netns, name string) bool {
	_, err := n.Netlink().LinkByName(name)
	return err == nil
}

// link returns an interface, which must exist.
func (t *trial) link(n *nettest.Netns, name string) netlink.Link {
	l, err := n.Netlink().LinkByName(name)
	if err != nil {
		t.Fatalf("the kernel has no interface %s", name)
	}
	return l
}

// linkNames returns the names of the interfaces of a namespace.
func (t *trial) linkNames(n *nettest.Netns) []string {
	links, err := n.Netlink().LinkList()
	if err != nil {
		t.Fatalf("list interfaces: %v", err)
	}
	names := make([]string, len(links))
	for i, l := range links {
		names[i] = l.Attrs().Name
	}
	return names
}

// hasRoute reports whether the main table of the kernel has a route to a destination.
func (t *trial) hasRoute(n *nettest.Netns, dst netip.Prefix) bool {
	family := unix.AF_INET
	if dst.Addr().Is6() {
		family = unix.AF_INET6
	}
	routes, err := n.Netlink().RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		t.Fatalf("list routes: %v", err)
	}
	return slices.ContainsFunc(routes, func(r netlink.Route) bool {
		if r.Dst == nil {
			return dst.Bits() == 0
		}
		return r.Dst.String() == dst.String()
	})
}

// hostEnd returns the host's interface whose peer is eth0 of a container.
func (t *trial) hostEnd(c *nettest.Container) string {
	peer := t.link(c.Netns, "eth0").Attrs().ParentIndex
	l, err := t.host.Netlink().LinkByIndex(peer)
	if err != nil {
		t.Skipf("eth0 has no peer on the host")
	}
	return l.Attrs().Name
}

// ip runs ip(8) in a namespace.
func (t *trial) ip(n *nettest.Netns, args string) { n.Run(t, "ip", strings.Fields(args)...) }

// reaches ends the check unless an address answers to one of three pings.
func (t *trial) reaches(n *nettest.Netns, dst netip.Addr, what string) {
	if r := n.Ping(dst, nettest.PingOptions{Count: 3}); r.Received == 0 {
		t.Fatalf("%s does not answer", what)
	}
}
