package verbs

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestAutoconfigurationIsOff: where IPAM assigns IPv6 addresses, and on a bridge that Patchbay creates, where only a
// container could be the router; on no other interface.
//
// Claim: Forwarding is enabled only where `isGateway` needs it; `accept_ra` is set to 2 only where a default route was advertised
func TestAutoconfigurationIsOff(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		conf cni.Conf
		want string
	}{
		{"IPv6", cni.Network(cni.Pool("fd00:1::/64")), "0"},
		{"dual stack", cni.Network(cni.Pool("10.1.0.0/24", "fd00:1::/64")), "0"},
		{"IPv4", cni.Network(cni.Pool("10.1.0.0/24")), "0"},
		{"IPv4 on an adopted bridge", cni.Network(cni.Conf{"bridge": "br9"}, cni.Pool("10.1.0.0/24")), "1"},
		{"IPv6 on an adopted bridge", cni.Network(cni.Conf{"bridge": "br9"}, cni.Pool("fd00:1::/64")), "0"},
		{"layer 2", cni.Network(), "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			h.Bridge("br9")
			h.Baseline()
			c := h.Container("c")
			attach(t, h, c, tt.conf)
			for _, key := range []string{"accept_ra", "autoconf"} {
				expect.Equal(t, key+" of eth0", c.Sysctl("net/ipv6/conf/eth0/"+key), tt.want)
				for _, other := range []string{"all", "default", "lo"} {
					expect.Equal(t, key+" of "+other, c.Sysctl("net/ipv6/conf/"+other+"/"+key), "1")
				}
			}
		})
	}
}

// TestIPv6IsEnabledIfIPAMAssignsIt: the runtime may have disabled it by default.
func TestIPv6IsEnabledIfIPAMAssignsIt(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	c.SetSysctl("net/ipv6/conf/default/disable_ipv6", "1")
	attach(t, h, c, cni.Network(cni.Gateway(), cni.Pool("fd00:1::/64")))
	expect.Equal(t, "disable_ipv6", c.Sysctl("net/ipv6/conf/eth0/disable_ipv6"), "0")
	expect.Equal(t, "keep_addr_on_down", c.Sysctl("net/ipv6/conf/eth0/keep_addr_on_down"), "1")
	ping(t, c.Netns, "fd00:1::1")
}

// TestIPv6StaysOffWithoutAddresses: without IPAM a disabled IPv6 stays disabled.
func TestIPv6StaysOffWithoutAddresses(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	c.SetSysctl("net/ipv6/conf/default/disable_ipv6", "1")
	attach(t, h, c, cni.Network(cni.Pool("10.1.0.0/24")))
	expect.Equal(t, "disable_ipv6", c.Sysctl("net/ipv6/conf/eth0/disable_ipv6"), "1")
}

// TestLayer2LeavesSysctlsAlone: duplicate address detection is left to the container.
//
// Claim: Sysctls of the container are those of the reference, except for a closed list: on layer 2 `accept_dad` is not changed, and
// `arp_notify` is set with any address
func TestLayer2LeavesSysctlsAlone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	attach(t, h, c, cni.Network())
	for _, key := range []string{"ipv6/conf/eth0/accept_dad", "ipv6/conf/eth0/enhanced_dad", "ipv4/conf/eth0/arp_notify"} {
		expect.Equal(t, key, c.Sysctl("net/"+key), c.Sysctl("net/"+strings.Replace(key, "eth0", "default", 1)))
	}
}

// TestARPNotify: it is set with an address of any family, as in the reference: an IPv4 address may be added by hand
// later.
//
// Claim: Sysctls of the container are those of the reference, except for a closed list: on layer 2 `accept_dad` is not changed, and
// `arp_notify` is set with any address
func TestARPNotify(t *testing.T) {
	t.Parallel()
	for _, subnet := range []string{"10.1.0.0/24", "fd00:1::/64"} {
		h := nettest.Host(t)
		c := h.Container("c")
		attach(t, h, c, cni.Network(cni.Pool(subnet)))
		expect.Equal(t, "arp_notify with "+subnet, c.Sysctl("net/ipv4/conf/eth0/arp_notify"), "1")
	}
}

// TestForwardingOnlyWhereAGatewayNeedsIt: for each family by itself.
//
// Claim: Forwarding is enabled only where `isGateway` needs it; `accept_ra` is set to 2 only where a default route was advertised
func TestForwardingOnlyWhereAGatewayNeedsIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		conf   cni.Conf
		v4, v6 string
	}{
		{"IPv4", cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")), "1", "0"},
		{"IPv6", cni.Network(cni.Gateway(), cni.Pool("fd00:1::/64")), "0", "1"},
		{"both", cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")), "1", "1"},
		{"no gateway", cni.Network(cni.Pool("10.1.0.0/24", "fd00:1::/64")), "0", "0"},
		{"layer 2", cni.Network(cni.Gateway()), "0", "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			attach(t, h, h.Container("c"), tt.conf)
			expect.Equal(t, "IPv4", h.Sysctl("net/ipv4/ip_forward"), tt.v4)
			expect.Equal(t, "IPv6", h.Sysctl("net/ipv6/conf/all/forwarding"), tt.v6)
		})
	}
}

// TestForwardingStaysOnAfterDel: it is a setting of the host and not of the attachment.
func TestForwardingStaysOnAfterDel(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	a.del(t)
	expect.Equal(t, "IPv4", h.Sysctl("net/ipv4/ip_forward"), "1")
	expect.Equal(t, "IPv6", h.Sysctl("net/ipv6/conf/all/forwarding"), "1")
}

// TestAdvertisedDefaultRouteIsKept when the host becomes an IPv6 router: accept_ra 2 on the
// interface that has one and accept_ra 1, and nowhere else.
//
// Claim: Forwarding is enabled only where `isGateway` needs it; `accept_ra` is set to 2 only where a default route was advertised
func TestAdvertisedDefaultRouteIsKept(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	router := h.Container("router")
	h.Veth("ra0", router.Netns, "r0")
	h.Veth("idle0", h.Container("idle").Netns, "r1")
	h.Veth("daemon0", h.Container("daemon").Netns, "r2")
	ip(t, router.Netns, "-6 addr add fe80::1/64 dev r0 nodad")
	h.SetSysctl("net/ipv6/conf/daemon0/accept_ra", "0") // networkd handles router advertisements itself
	ip(t, h.Netns, "-6 addr add fe80::2/64 dev daemon0 nodad")
	ip(t, h.Netns, "-6 route add default via fe80::1 dev daemon0 proto ra metric 2048")
	h.Baseline()
	h.Allow("sysctl net/ipv6/conf/ra0/accept_ra: 1 -> 2")
	awaitRoute(t, h.Netns, "::/0", func() { advertise(t, router.Netns, "r0") })
	a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Gateway(), cni.Pool("fd00:1::/64")))
	expect.Equal(t, "with an advertised route", h.Sysctl("net/ipv6/conf/ra0/accept_ra"), "2")
	expect.Equal(t, "without one", h.Sysctl("net/ipv6/conf/idle0/accept_ra"), "1")
	expect.Equal(t, "with accept_ra 0", h.Sysctl("net/ipv6/conf/daemon0/accept_ra"), "0")
	expect.Equal(t, "default", h.Sysctl("net/ipv6/conf/default/accept_ra"), "1")
	expect.Contains(t, ip(t, h.Netns, "-6 route show default"), "dev ra0 proto ra", "dev daemon0 proto ra")
	a.check(t)
	ip(t, h.Netns, "-6 route flush default dev ra0")
}

// advertise sends one router advertisement to all nodes: a default route for half an hour.
func advertise(t *testing.T, router *nettest.Netns, link string) {
	t.Helper()
	index := linkOf(t, router, link).Attrs().Index
	message := []byte{134, 0, 0, 0, 64, 0}
	message = binary.BigEndian.AppendUint16(message, 1800)
	message = append(message, make([]byte, 8)...)
	var err error
	router.Do(func() {
		var fd int
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6); err != nil {
			return
		}
		defer unix.Close(fd)
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil {
			return
		}
		to := &unix.SockaddrInet6{ZoneId: uint32(index), Addr: [16]byte(net.ParseIP("ff02::1"))}
		err = unix.Sendto(fd, message, 0, to)
	})
	if err != nil {
		t.Fatalf("send router advertisement: %v", err)
	}
}

// awaitRoute calls do and waits until the kernel reports a route.
func awaitRoute(t *testing.T, n *nettest.Netns, dst string, do func()) {
	t.Helper()
	updates, done := make(chan netlink.RouteUpdate, 64), make(chan struct{})
	defer close(done)
	var err error
	n.Do(func() { err = netlink.RouteSubscribe(updates, done) })
	if err != nil {
		t.Fatal(err)
	}
	do()
	for u := range updates {
		if u.Type == unix.RTM_NEWROUTE && u.Dst.String() == dst && u.Protocol == unix.RTPROT_RA {
			return
		}
	}
	t.Fatalf("no more events while waiting for a route to %s", dst)
}
