package nettest

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Bridge creates a bridge as an administrator would, which a network can adopt: up, with the addresses given as "192.0.2.10/24", with a MAC
// of the kernel's choice. It becomes part of the baseline.
func (h *Node) Bridge(name string, addrs ...string) {
	h.t.Helper()
	h.addBridge(name, "")
	h.AddAddress(name, addrs...)
	h.adopt(name)
}

// addBridge makes a bridge that is up, with a MAC if one is given.
func (n *Netns) addBridge(name, mac string) {
	n.t.Helper()
	br := &netlink.Bridge{LinkAttrs: linkAttrs(name)}
	br.HardwareAddr = n.parseMAC(mac)
	br.Flags = net.FlagUp
	if err := n.Netlink().LinkAdd(br); err != nil {
		n.t.Fatalf("make bridge %s in %s: %v", name, n.name, err)
	}
}

// Veth makes a veth pair between this namespace and another (which may be the
// same), and returns when both ends are up: a port that is
// added earlier is blocked until the kernel handles its carrier. Use Plug to make an end a port.
func (n *Netns) Veth(name string, peer *Netns, peerName string) {
	n.t.Helper()
	n.addVeth(name, "", peer, peerName)
}

func (n *Netns) addVeth(name, mac string, peer *Netns, peerName string) {
	n.t.Helper()
	v := &netlink.Veth{LinkAttrs: linkAttrs(name), PeerName: peerName, PeerNamespace: netlink.NsFd(peer.net)}
	v.HardwareAddr = n.parseMAC(mac)
	v.Flags = net.FlagUp
	if err := n.Netlink().LinkAdd(v); err != nil {
		n.t.Fatalf("make veth %s in %s: %v", name, n.name, err)
	}
	if err := peer.Netlink().LinkSetUp(peer.link(peerName)); err != nil {
		n.t.Fatalf("set %s up in %s: %v", peerName, peer.name, err)
	}
	n.awaitUp(name)
	peer.awaitUp(peerName)
}

// awaitUp waits until a link is operational.
func (n *Netns) awaitUp(name string) {
	n.t.Helper()
	n.await("link "+name+" up", unix.RTMGRP_LINK, func() bool {
		return n.link(name).Attrs().OperState == netlink.OperUp
	})
}

// Settle waits until the kernel has finished what follows when a link gets or loses its carrier:
// the operational state has changed, and link-local addresses can be used. It returns at once for a
// link that does not exist or is down.
func (n *Netns) Settle(name string) {
	n.t.Helper()
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV6_ROUTE)
	n.await("link "+name+" settled", groups, func() bool { return n.settled(name) })
}

func (n *Netns) settled(name string) bool {
	l, err := n.Netlink().LinkByName(name)
	if err != nil || l.Attrs().Flags&net.FlagUp == 0 {
		return true
	}
	carrier, noticed := l.Attrs().RawFlags&unix.IFF_LOWER_UP != 0, l.Attrs().OperState == netlink.OperUp
	if carrier != noticed || !carrier {
		return carrier == noticed
	}
	addrs, err := n.Netlink().AddrList(l, netlink.FAMILY_V6)
	if err != nil {
		return false
	}
	for _, a := range addrs {
		addr, _ := netip.AddrFromSlice(a.IP.To16())
		if a.Flags&unix.IFA_F_TENTATIVE != 0 || !n.isLocal(addr, name) {
			return false
		}
	}
	return true
}

// await waits until so returns true, and calls it after each netlink event of a group.
func (n *Netns) await(what string, group uint32, so func() bool) {
	n.t.Helper()
	events, err := n.openSocket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE, func(fd int) error {
		return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: group})
	})
	if err != nil {
		n.t.Fatalf("await %s: %v", what, err)
	}
	defer events.close()
	events.deadline(time.Now().Add(30 * time.Second)) // the kernel may need long while many wait for RTNL
	buf := make([]byte, 64<<10)
	for !so() {
		// ENOBUFS means that events were lost: check again.
		if _, _, err := events.receive(buf); err != nil && !errors.Is(err, unix.ENOBUFS) {
			n.t.Fatalf("await %s in %s: %v", what, n.name, err)
		}
	}
}

// linkAttrs leaves queue lengths to the kernel, where netlink's zero would not.
func linkAttrs(name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	return a
}

func (n *Netns) parseMAC(mac string) net.HardwareAddr {
	n.t.Helper()
	if mac == "" {
		return nil
	}
	hw, err := net.ParseMAC(mac)
	if err != nil {
		n.t.Fatal(err)
	}
	return hw
}

// Plug makes a link a port of a bridge in the same namespace.
func (n *Netns) Plug(link, bridge string) {
	n.t.Helper()
	if err := n.Netlink().LinkSetMaster(n.link(link), n.link(bridge)); err != nil {
		n.t.Fatalf("plug %s into %s in %s: %v", link, bridge, n.name, err)
	}
}

// AddAddress adds addresses such as "192.0.2.10/24" to a link, IPv6 ones
// without duplicate address detection. When it returns they can be used: the
// kernel makes an IPv6 address's local route and joins its solicited-node group
// a moment after it has answered, and until then drops what is sent to it.
func (n *Netns) AddAddress(link string, addrs ...string) {
	n.t.Helper()
	for _, s := range addrs {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			n.t.Fatal(err)
		}
		a := &netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		if err := n.Netlink().AddrAdd(n.link(link), a); err != nil {
			n.t.Fatalf("add %s to %s in %s: %v", s, link, n.name, err)
		}
		if p.Addr().Is6() {
			n.await("local route of "+s, unix.RTMGRP_IPV6_ROUTE, func() bool { return n.isLocal(p.Addr(), link) })
		}
	}
}

// isLocal reports whether packets to an address of a link end in this namespace.
func (n *Netns) isLocal(a netip.Addr, link string) bool {
	var o netlink.RouteGetOptions
	if a.IsLinkLocalUnicast() {
		o.Oif = link
	}
	routes, err := n.Netlink().RouteGetWithOptions(a.AsSlice(), &o)
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}

// AddRoute adds a route to dst ("default" forms: "0.0.0.0/0", "::/0") by way
// of a gateway.
func (n *Netns) AddRoute(dst, gateway string) {
	n.t.Helper()
	p, err := netip.ParsePrefix(dst)
	if err != nil {
		n.t.Fatal(err)
	}
	r := &netlink.Route{Dst: ipNet(p), Gw: net.ParseIP(gateway)}
	if err := n.Netlink().RouteAdd(r); err != nil {
		n.t.Fatalf("add route %s via %s in %s: %v", dst, gateway, n.name, err)
	}
}

// forward switches forwarding on, as a router has it.
func (n *Netns) forward() error {
	var err error
	n.Do(func() {
		err = writeSysctl("net/ipv4/ip_forward", "1")
		if err == nil {
			err = writeSysctl("net/ipv6/conf/all/forwarding", "1")
		}
	})
	return err
}

// mustReach ends the test when an address does not answer any of five echoes.
func (n *Netns) mustReach(t testing.TB, addrs ...string) {
	t.Helper()
	for _, a := range addrs {
		r := n.Ping(netip.MustParseAddr(a), PingOptions{})
		for tries := 1; r.Received == 0 && r.Err == nil && tries < 5; tries++ {
			r = n.Ping(netip.MustParseAddr(a), PingOptions{})
		}
		if r.Received == 0 {
			t.Fatalf("the LAN does not work: %s to %s: %s", n.name, a, r)
		}
	}
}

// skipDAD makes link-local addresses usable at once on the links to come. A
// router needs its own before it can ask for a neighbour.
func (n *Netns) skipDAD() {
	n.t.Helper()
	n.SetSysctl("net/ipv6/conf/all/accept_dad", "0")
	n.SetSysctl("net/ipv6/conf/default/accept_dad", "0")
}
