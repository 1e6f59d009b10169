package bridge

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// advertiser is a router that answers solicitations (RFC 4861), unless it is silent.
type advertiser struct {
	fd     int
	index  int
	silent atomic.Bool
	done   chan struct{}
}

const solicitation = 133 // type of ICMPv6

// advertises makes the router of a site one that sends advertisements.
func (s *site) advertises(t *testing.T) *advertiser {
	t.Helper()
	s.router.SetSysctl("net/ipv6/conf/all/forwarding", "1") // or its neighbour advertisements would say that it is none
	a := &advertiser{done: make(chan struct{})}
	var err error
	s.router.Do(func() {
		a.fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
	})
	if err != nil {
		t.Fatal(err)
	}
	a.index = routerIndex(t, s)
	group := &unix.IPv6Mreq{Multiaddr: [16]byte{0xff, 0x02, 15: 2}, Interface: uint32(a.index)}
	for _, err := range []error{
		unix.SetsockoptIPv6Mreq(a.fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, group),
		unix.SetsockoptInt(a.fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255),
		unix.SetsockoptTimeval(a.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100000}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var stop atomic.Bool
	go a.answer(&stop)
	t.Cleanup(func() {
		stop.Store(true)
		<-a.done
		unix.Close(a.fd)
	})
	return a
}

func routerIndex(t *testing.T, s *site) int {
	t.Helper()
	link, err := s.router.Netlink().LinkByName("lan")
	if err != nil {
		t.Fatal(err)
	}
	return link.Attrs().Index
}

// answer sends an advertisement for each solicitation.
func (a *advertiser) answer(stop *atomic.Bool) {
	defer close(a.done)
	for packet := make([]byte, 1500); !stop.Load(); {
		n, _, err := unix.Recvfrom(a.fd, packet, 0)
		if err == nil && n > 0 && packet[0] == solicitation && !a.silent.Load() {
			a.send()
		}
	}
}

// send advertises a default route for 1800 s with a prefix for 3600 s, and a route to 2001:db8:77::/48.
func (a *advertiser) send() {
	ra := []byte{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0}
	prefix := netip.MustParseAddr("2001:db8:9::").As16()
	ra = append(ra, 3, 4, 64, 0xc0)
	ra = binary.BigEndian.AppendUint32(ra, 3600)
	ra = binary.BigEndian.AppendUint32(ra, 1800)
	ra = append(append(ra, 0, 0, 0, 0), prefix[:]...)
	_ = unix.Sendto(a.fd, ra, 0, &unix.SockaddrInet6{Addr: [16]byte{0xff, 0x02, 15: 1}, ZoneId: uint32(a.index)})
}

// TestRouterAdvertisements: addresses and the default route that the kernel learned from a router are there all the time, and those of the
// bridge are the kernel's own again, which the router's next advertisement renews.
//
// Claim: IPv6 addresses and routes from router advertisements continue to work on the bridge and after going back, and are renewed
func TestRouterAdvertisements(t *testing.T) {
	t.Parallel()
	s := newSite(t, append(plain()[:3:3], "ip -6 route add 2001:db8:1::/48 via 2001:db8::1"))
	a := s.advertises(t)
	a.send()
	s.until(t, func() bool { return s.learned(t, "eth0") == nil })
	s.Settle("eth0")
	s.Baseline()
	st := s.stream(t, "2001:db8:1::1")
	s.ok(t, create()...)
	expect.Equal(t, "missing on br0", s.learned(t, "br0"), nil)
	expect.Equal(t, "left on eth0", s.Run(t, "ip", "-6", "route", "show", "dev", "eth0", "proto", "ra"), "")
	s.ok(t, "bridge", "delete", "br0")
	expect.Equal(t, "missing on eth0", s.learned(t, "eth0"), nil)

	a.silent.Store(true)
	s.ok(t, create()...)
	expect.Contains(t, s.Run(t, "ip", "-6", "route", "show", "default"), "dev br0 proto ra metric 1025 expires 1")
	a.silent.Store(false)
	a.send()
	s.until(t, func() bool {
		return strings.Contains(s.Run(t, "ip", "-6", "route", "show", "default"), "proto ra metric 1024 ")
	})
	if a := s.patchbay(t, "bridge", "create", "br0", "--uplink", "eth0", "--timeout", "1s"); a.exit == 0 {
		t.Error("created twice")
	}
	s.ok(t, "bridge", "delete", "br0")
	expect.Equal(t, "missing on eth0", s.learned(t, "eth0"), nil)
	if gap, err := st.end(); err != nil || gap > mostGap {
		t.Errorf("stream: longest gap %v, %v", gap, err)
	}
}

// learned returns what an interface lacks of what the router advertises; nil for nothing. Fallback routes are no longer there.
func (s *site) learned(t testing.TB, name string) (missing []string) {
	t.Helper()
	routes := s.Run(t, "ip", "-6", "route", "show", "dev", name, "default")
	if !strings.Contains(routes, "default via fe80::") || !strings.Contains(routes, "proto ra metric 1024 expires 1") || strings.Contains(routes, "metric 1025") {
		missing = append(missing, "default route: "+routes)
	}
	if addrs := s.Run(t, "ip", "-6", "address", "show", "dev", name, "dynamic"); !strings.Contains(addrs, "inet6 2001:db8:9:") {
		missing = append(missing, "address: "+addrs)
	}
	return missing
}
