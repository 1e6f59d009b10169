package nat

import (
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

const (
	back4 = "203.0.113.7" // a machine in a second subnet of the host
	back6 = "2001:db8:0:3::7"
	host4 = "203.0.113.1"
	host6 = "2001:db8:0:3::1"
)

// secondSubnet adds a machine in another subnet of the host. It has routes to the LAN and to containers through the host, so that only rules,
// not missing routes, decide which source addresses it sees.
func secondSubnet(t *testing.T, h *nettest.Node) *nettest.Container {
	t.Helper()
	m := h.Container("behind")
	h.Veth("back0", m.Netns, "eth0")
	h.AddAddress("back0", host4+"/24", host6+"/64")
	m.AddAddress("eth0", back4+"/24", back6+"/64")
	m.AddRoute("0.0.0.0/0", host4)
	m.AddRoute("::/0", host6)
	h.SetSysctl("net/ipv4/ip_forward", "1")
	h.SetSysctl("net/ipv6/conf/all/forwarding", "1")
	return m
}

// TestNeighbourOfTheLANKeepsItsAddress: on bridge br0 with port eth0, a machine of the LAN that the host routes for keeps its address, although
// its packets arrive on the same bridge and from the same subnet as those of containers.
//
// Claim: Masquerading: a neighbour on the LAN that the host routes for, and a pod's traffic to a service, keep their source addresses,
// with bridge-nf-call 0 and 1
func TestNeighbourOfTheLANKeepsItsAddress(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, set func(*nettest.Node)) {
		h := nettest.Host(t)
		lan := h.LAN(t)
		m := secondSubnet(t, h)
		neighbour := lan.Neighbour("neighbour", "192.0.2.20/24", "2001:db8:0:1::20/64")
		neighbour.AddRoute("203.0.113.0/24", nettest.LANHost4)
		neighbour.AddRoute("2001:db8:0:3::/64", nettest.LANHost6)
		set(h)
		config := gatewayNetwork("lan", cni.Conf{"bridge": "br0"}, cni.Masquerade(), cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{
			{{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "rangeEnd": "192.0.2.150", "gateway": "192.0.2.10"}},
			{{"subnet": "2001:db8:0:1::/64", "rangeStart": "2001:db8:0:1::100", "gateway": "2001:db8:0:1::10"}},
		}}))
		c := h.Container("web")
		add(t, h, c, config)
		sees(t, pings(t, c.Netns, m.Netns, back4), netip.MustParseAddr(host4))
		sees(t, pings(t, c.Netns, m.Netns, back6), netip.MustParseAddr(host6))
		sees(t, pings(t, neighbour, m.Netns, back4), netip.MustParseAddr("192.0.2.20"))
		sees(t, pings(t, neighbour, m.Netns, back6), netip.MustParseAddr("2001:db8:0:1::20"))
		// Neighbours on the LAN are in the container's own subnet: they see its address.
		sees(t, pings(t, c.Netns, neighbour, "192.0.2.20"), netip.MustParseAddr("192.0.2.100"))
		cni.Del(t, h, c, config)
	})
}

// TestServiceTrafficKeepsThePodsAddress: with a service in another table, as of kube-proxy, the backend on the same bridge sees the pod.
//
// Claim: Masquerading: a neighbour on the LAN that the host routes for, and a pod's traffic to a service, keep their source addresses,
// with bridge-nf-call 0 and 1
func TestServiceTrafficKeepsThePodsAddress(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, set func(*nettest.Node)) {
		h := nettest.Host(t)
		nettest.Need(t, nettest.Tool("nft"))
		set(h)
		config := gatewayNetwork("pods", cni.Masquerade(), cni.Pool(subnet4, subnet6))
		pod, backend := h.Container("pod"), h.Container("backend")
		from := add(t, h, pod, config)
		to := add(t, h, backend, config)
		h.Run(t, "nft", "add table inet services; "+
			"add chain inet services pre { type nat hook prerouting priority dstnat; }; "+
			"add rule inet services pre ip daddr 10.96.0.10 dnat ip to "+to[0].String()+"; "+
			"add rule inet services pre ip6 daddr fd00:96::10 dnat ip6 to "+to[1].String())
		for i, service := range []string{"10.96.0.10", "fd00:96::10"} {
			capture := backend.Capture(t, "eth0")
			// Without bridge-nf-call the reply bypasses NAT and reaches the pod from an address that it did not ping.
			_ = pod.Ping(netip.MustParseAddr(service), nettest.PingOptions{Count: 2, Timeout: 200e6})
			requests := capture.Stop(t).Of(nettest.EchoRequest).Where(func(f nettest.Frame) bool { return !f.Outgoing })
			if len(requests) != 2 || len(requests.From(from[i])) != 2 {
				t.Errorf("the backend of %s got\n%s\nwant 2 requests from %s", service, requests, from[i])
			}
		}
		h.Run(t, "nft", "delete table inet services")
		cni.Del(t, h, pod, config)
		cni.Del(t, h, backend, config)
	})
}

// stray sends an unsolicited echo reply: a packet without a connection, which NAT does not translate.
func stray(t *testing.T, from *nettest.Netns, dst string) {
	t.Helper()
	addr, domain, proto, kind := netip.MustParseAddr(dst), unix.AF_INET, unix.IPPROTO_ICMP, byte(0)
	var to unix.Sockaddr = &unix.SockaddrInet4{Addr: [4]byte(addr.AsSlice()[:4])}
	if addr.Is6() {
		domain, proto, kind = unix.AF_INET6, unix.IPPROTO_ICMPV6, 129
		to = &unix.SockaddrInet6{Addr: addr.As16()}
	}
	packet := []byte{kind, 0, ^kind, 0xff, 0, 0, 0, 0} // the kernel computes the checksum of ICMPv6
	var err error
	from.Do(func() {
		fd, failed := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
		if failed != nil {
			err = failed
			return
		}
		defer unix.Close(fd)
		err = unix.Sendto(fd, packet, 0, to)
	})
	if err != nil {
		t.Fatalf("send a stray packet to %s: %v", dst, err)
	}
}

// strays sends unsolicited echo replies to the remote host and returns those that arrive before a subsequent ping.
func strays(t *testing.T, from, outside *nettest.Netns) nettest.Frames {
	t.Helper()
	capture := outside.Capture(t, "eth0")
	for _, dst := range []string{nettest.LANOutside4, nettest.LANOutside6} {
		stray(t, from, dst)
		if err := from.PingOnce(netip.MustParseAddr(dst)); err != nil {
			t.Error(err)
		}
	}
	return capture.Stop(t).Of(nettest.EchoReply).Where(func(f nettest.Frame) bool { return !f.Outgoing })
}

// TestInvalidPacketsDoNotLeave: a packet without a connection is not translated, so it must not leave: a remote host would see the container's
// address. It may go to the container's own subnet.
//
// Claim: Masquerading: packets without a connection do not leave with the container's address
func TestInvalidPacketsDoNotLeave(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	nettest.Need(t, nettest.Tool("nft"))
	config := gatewayNetwork("nat", cni.Masquerade(), cni.Pool(subnet4, subnet6))
	c, other := h.Container("web"), h.Container("other")
	add(t, h, c, config)
	to := add(t, h, other, config)
	if got := strays(t, c.Netns, lan.Outside); len(got) > 0 {
		t.Errorf("left the host:\n%s", got)
	}
	capture := other.Capture(t, "eth0")
	stray(t, c.Netns, to[0].String())
	if err := capture.Wait(1, 2e9, func(f nettest.Frame) bool { return f.Kind == nettest.EchoReply && !f.Outgoing }); err != nil {
		t.Errorf("a packet without a connection to the neighbour: %v", err)
	}
	capture.Stop(t)
	h.Run(t, "nft", "flush chain inet patchbay forward")
	if got := strays(t, c.Netns, lan.Outside); len(got) != 2 {
		t.Errorf("without the rule 2 packets must leave, else the test cannot see them:\n%s", got)
	}
	cni.Del(t, h, c, config)
	cni.Del(t, h, other, config)
}

// TestExcludedDestinationSeesTheContainer: destinations of masqExclude, and families not in masqFamilies, see the container's address.
//
// Claim: Masquerading: `masqExclude`, `masqFamilies` and `randomFully` work; both values of `ipMasqBackend` are accepted
func TestExcludedDestinationSeesTheContainer(t *testing.T) {
	for name, tc := range map[string]struct {
		keys         cni.Conf
		host4, host6 bool // the remote host sees the host's address
	}{
		"all":              {cni.Conf{"ipMasq": true}, true, true},
		"IPv4 only":        {cni.Conf{"ipMasq": true, "masqFamilies": []string{"ipv4"}}, true, false},
		"IPv6 only":        {cni.Conf{"ipMasq": true, "masqFamilies": []string{"ipv6"}}, false, true},
		"a CIDR of each":   {cni.Conf{"ipMasq": true, "masqExclude": []string{"198.51.100.0/24", "2001:db8:0:2::/64"}}, false, false},
		"one address":      {cni.Conf{"ipMasq": true, "masqExclude": []string{"198.51.100.7"}}, false, true},
		"another address":  {cni.Conf{"ipMasq": true, "masqExclude": []string{"198.51.100.8", "2001:db8:0:2::8"}}, true, true},
		"random ports":     {cni.Conf{"ipMasq": true, "randomFully": true}, true, true},
		"iptables backend": {cni.Conf{"ipMasq": true, "ipMasqBackend": "iptables"}, true, true},
		"off":              {cni.Conf{"ipMasq": false, "masqExclude": []string{"10.0.0.0/8"}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			m := remoteHost(t, h)
			config := gatewayNetwork("nat", tc.keys, cni.Pool(subnet4, subnet6))
			c := h.Container("web")
			addrs := add(t, h, c, config)
			for i, hides := range []bool{tc.host4, tc.host6} {
				dst, want := []string{nettest.LANOutside4, nettest.LANOutside6}[i], addrs[i]
				if hides {
					want = netip.MustParseAddr([]string{"198.51.100.1", "2001:db8:0:2::1"}[i])
				}
				sees(t, pings(t, c.Netns, m.Netns, dst), want)
			}
			cni.Del(t, h, c, config)
		})
	}
}

// remoteHost adds a machine with the addresses of the remote host that has a route to every container, so that it replies to pings with
// either source address.
func remoteHost(t *testing.T, h *nettest.Node) *nettest.Container {
	t.Helper()
	m := h.Container("outside")
	h.Veth("up0", m.Netns, "eth0")
	h.AddAddress("up0", "198.51.100.1/24", "2001:db8:0:2::1/64")
	m.AddAddress("eth0", nettest.LANOutside4+"/24", nettest.LANOutside6+"/64")
	m.AddRoute("0.0.0.0/0", "198.51.100.1")
	m.AddRoute("::/0", "2001:db8:0:2::1")
	h.Baseline()
	return m
}

// remove deletes files of the state directory.
func remove(t *testing.T, h *nettest.Node, path string) {
	t.Helper()
	h.Do(func() {
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
}
