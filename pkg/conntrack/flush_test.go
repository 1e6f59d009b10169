package conntrack_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/conntrack"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const (
	udp, sctp = unix.IPPROTO_UDP, unix.IPPROTO_SCTP

	noRule = "accept"
)

// scene is a host between a LAN and a bridge. A flow is identified by its source port.
type scene struct {
	t      *testing.T
	host   *nettest.Node
	lan    *nettest.LAN
	inside *nettest.Container // behind the host

	ours, second     netip.Addr // the host's
	outside          netip.Addr
	container, older netip.Addr // neither exists: the flow has no reply
}

// scenes runs a test for either family.
func scenes(t *testing.T, test func(t *testing.T, s *scene)) {
	for name, addresses := range map[string][5]string{
		"IPv4": {nettest.LANHost4, "192.0.2.11", nettest.LANOutside4, "10.1.2.3", "10.1.2.9"},
		"IPv6": {nettest.LANHost6, "2001:db8:0:1::11", nettest.LANOutside6, "2001:db8:5::3", "2001:db8:5::9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &scene{t: t, host: nettest.Host(t)}
			nettest.Need(t, nettest.Tool("nft"))
			s.host.Allow("nft ")
			s.host.Allow("flow ")                // the test checks which of them remain
			s.host.Allow("+ container inside: ") // of the test itself
			for i, addr := range []*netip.Addr{&s.ours, &s.second, &s.outside, &s.container, &s.older} {
				*addr = netip.MustParseAddr(addresses[i])
			}
			s.wire()
			test(t, s)
		})
	}
}

func (s *scene) wire() {
	s.lan = s.host.LAN(s.t)
	s.host.SetSysctl("net/ipv4/ip_forward", "1")
	s.host.SetSysctl("net/ipv6/conf/all/forwarding", "1")
	for _, kind := range []string{"udp_timeout", "sctp_timeout_cookie_wait"} { // 30 s and 3 s are too short for an emulated CPU
		s.host.SetSysctl("net/netfilter/nf_conntrack_"+kind, "3600")
	}
	s.host.Bridge("cni0", "10.1.2.1/24", "2001:db8:5::1/64")
	s.inside = s.host.Container("inside")
	s.host.Veth("veth0", s.inside.Netns, "eth0")
	s.host.Plug("veth0", "cni0")
	s.host.AddAddress("br0", s.prefix(s.second, 24, 64))
	s.inside.AddAddress("eth0", "10.1.2.50/24", "2001:db8:5::50/64")
	s.inside.AddRoute("0.0.0.0/0", "10.1.2.1")
	s.inside.AddRoute("::/0", "2001:db8:5::1")
	s.lan.Router.AddRoute("10.1.2.0/24", nettest.LANHost4)
	s.lan.Router.AddRoute("2001:db8:5::/64", nettest.LANHost6)
	s.host.Baseline()
	s.track(noRule)
}

func (s *scene) prefix(addr netip.Addr, bits4, bits6 int) string {
	if addr.Is4() {
		return fmt.Sprintf("%s/%d", addr, bits4)
	}
	return fmt.Sprintf("%s/%d", addr, bits6)
}

// track makes the host track every flow, with rules of a NAT chain.
func (s *scene) track(rules string) {
	s.host.Run(s.t, "nft", fmt.Sprintf(`
		table inet test
		delete table inet test
		table inet test {
			chain raw { type filter hook prerouting priority raw; udp sport 7000 ct zone set 7; udp sport 7001 ct original zone set 8; }
			chain translate { type nat hook prerouting priority dstnat; %s; }
			chain watch { type filter hook forward priority 0; ct state new accept; }
		}`, rules))
}

// publish translates a host port of all local addresses to a container.
func (s *scene) publish(port uint16, to netip.AddrPort) {
	family := "ip6"
	if to.Addr().Is4() {
		family = "ip"
	}
	s.track(fmt.Sprintf("fib daddr type local meta l4proto { udp, sctp } th dport %d dnat %s to %s", port, family, to))
}

// send begins a flow.
func (s *scene) send(from *nettest.Netns, proto int, source uint16, to netip.AddrPort) {
	s.t.Helper()
	var err error
	from.Do(func() { err = send(proto, source, to) })
	if err != nil {
		s.t.Fatal(err)
	}
}

func send(proto int, source uint16, to netip.AddrPort) error {
	kind, payload := unix.SOCK_DGRAM, []byte("hello")
	if proto == sctp {
		kind, payload = unix.SOCK_RAW, sctpInit(source, to.Port())
	}
	domain, local, remote := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(source)}), unix.Sockaddr(nil)
	if to.Addr().Is4() {
		remote = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	} else {
		domain, local, remote = unix.AF_INET6, &unix.SockaddrInet6{Port: int(source)}, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if proto == sctp {
		if to6, ok := remote.(*unix.SockaddrInet6); ok {
			to6.Port = 0 // or it would be the protocol (raw(7))
		}
		return unix.Sendto(fd, payload, 0, remote)
	}
	return errors.Join(unix.Bind(fd, local), unix.Sendto(fd, payload, 0, remote))
}

// sctpInit is the packet that begins an association (RFC 9260 sections 3.1 and 3.3.2).
func sctpInit(source, port uint16) []byte {
	p := make([]byte, 12+20)
	binary.BigEndian.PutUint16(p, source)
	binary.BigEndian.PutUint16(p[2:], port)
	p[12], p[15] = 1, 20                           // INIT, length
	binary.BigEndian.PutUint32(p[16:], 1)          // tag
	binary.BigEndian.PutUint32(p[20:], 65536)      // window
	binary.BigEndian.PutUint32(p[24:], 0x000a000a) // streams
	binary.LittleEndian.PutUint32(p[8:], crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
	return p
}

// flows returns the source ports of all UDP and SCTP flows, sorted. It reads /proc and not netlink, so that
// an error in the decoder is found.
func (s *scene) flows() []int {
	s.t.Helper()
	var text []byte
	var err error
	s.host.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/nf_conntrack") })
	if err != nil {
		s.t.Fatal(err)
	}
	var ports []int
	for line := range strings.Lines(string(text)) { // ipv4 2 udp 17 29 src=198.51.100.7 dst=192.0.2.10 sport=1001 dport=8080 ...
		words := strings.Fields(line)
		if words[0] != s.family() || words[2] != "udp" && words[2] != "sctp" {
			continue
		}
		_, port, _ := strings.Cut(words[slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "sport=") })], "=")
		n, err := strconv.Atoi(port)
		if err != nil {
			s.t.Fatalf("%v: %s", err, line)
		}
		ports = append(ports, n)
	}
	slices.Sort(ports)
	return slices.Compact(ports) // the file is read in parts, and may have a flow twice
}

func (s *scene) family() string {
	if s.ours.Is4() {
		return "ipv4"
	}
	return "ipv6"
}

// want requires these flows. A packet may still be on its way on a slow machine, and the file, which is read in parts, leaves a flow out now and
// then while those of other namespaces begin and end: it is read again.
func (s *scene) want(when string, ports ...int) {
	s.t.Helper()
	diff := "not read"
	for end := time.Now().Add(10 * time.Second); diff != "" && time.Now().Before(end); {
		diff = cmp.Diff(ports, s.flows())
	}
	if diff != "" {
		s.t.Errorf("%s: the flows are (-want +got):\n%s", when, diff)
	}
}

// many begins a thousand flows and returns their source ports. What has no flow is sent again: a queue of the receiver may have been full.
func (s *scene) many() []int {
	s.t.Helper()
	const first, count = 20000, 1000
	for end := time.Now().Add(time.Minute); ; {
		have := s.flows()
		if len(have) == count {
			return have
		}
		if time.Now().After(end) {
			s.t.Fatalf("%d flows, want %d", len(have), count)
		}
		for i := range uint16(count) {
			if _, found := slices.BinarySearch(have, int(first+i)); !found {
				s.send(s.lan.Outside, udp, first+i, netip.AddrPortFrom(s.ours, 9999))
			}
		}
	}
}

type flusher func(context.Context, []conntrack.Mapping, conntrack.Local) error

// flush calls FlushStale or FlushOwn in the host.
func (s *scene) flush(flush flusher, mappings ...conntrack.Mapping) {
	s.t.Helper()
	if err := s.try(context.Background(), flush, mappings...); err != nil {
		s.t.Error(err)
	}
}

func (s *scene) try(ctx context.Context, flush flusher, mappings ...conntrack.Mapping) (err error) {
	s.host.Do(func() { err = flush(ctx, mappings, s.isLocal) })
	return err
}

func (s *scene) isLocal(addr netip.Addr) (bool, error) {
	return addr == s.ours || addr == s.second, nil
}

// begin creates a flow of every kind to host port 8080 and to port 8080 of the container.
func (s *scene) begin() {
	on := func(addr netip.Addr) netip.AddrPort { return netip.AddrPortFrom(addr, 8080) }
	out := s.lan.Outside
	for _, proto := range []int{udp, sctp} {
		first := uint16(1000)
		if proto == sctp {
			first = 2000
		}
		s.track(noRule)
		s.send(out, proto, first+1, on(s.ours)) // to the host itself
		s.publish(8080, on(s.older))
		s.send(out, proto, first+2, on(s.ours)) // to the container that had the port before
		s.publish(8080, on(s.container))
		s.send(out, proto, first+3, on(s.ours))                       // to the container
		s.send(out, proto, first+4, on(s.second))                     // ... with another address of the host
		s.send(out, proto, first+5, on(s.container))                  // ... with its own address
		s.send(out, proto, first+6, netip.AddrPortFrom(s.ours, 8081)) // another port
		s.send(s.inside.Netns, proto, first+7, on(s.outside))         // through the host
		s.track(noRule)
		s.send(out, proto, first+8, on(s.second)) // to the host itself with another address
	}
	s.want("at first", 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008)
}

func (s *scene) mapping(proto uint8) conntrack.Mapping {
	return conntrack.Mapping{Proto: proto, HostPort: 8080, Count: 1, Container: netip.AddrPortFrom(s.container, 8080)}
}

// ADD deletes the flows from before on all local addresses, and no other.
func TestFlushStale(t *testing.T) {
	t.Parallel()
	scenes(t, func(_ *testing.T, s *scene) {
		s.begin()
		s.flush(conntrack.FlushStale, s.mapping(unix.IPPROTO_TCP))
		s.want("after TCP", 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008)
		s.flush(conntrack.FlushStale, s.mapping(udp))
		s.want("after UDP", 1003, 1004, 1005, 1006, 1007, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008)
		s.flush(conntrack.FlushStale, s.mapping(sctp))
		s.want("after SCTP", 1003, 1004, 1005, 1006, 1007, 2003, 2004, 2005, 2006, 2007)
	})
}

// DEL deletes the flows that lead to this container through the host port, not those that lead to another
// container, or to this one with its own address.
func TestFlushOwn(t *testing.T) {
	t.Parallel()
	scenes(t, func(_ *testing.T, s *scene) {
		s.begin()
		s.flush(conntrack.FlushOwn, s.mapping(udp))
		s.want("after UDP", 1001, 1002, 1005, 1006, 1007, 1008, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008)
		s.flush(conntrack.FlushOwn, s.mapping(sctp))
		s.want("after SCTP", 1001, 1002, 1005, 1006, 1007, 1008, 2001, 2002, 2005, 2006, 2007, 2008)
	})
}

// A mapping of one host address is for that address only.
func TestFlushWithHostIP(t *testing.T) {
	t.Parallel()
	scenes(t, func(_ *testing.T, s *scene) {
		s.begin()
		m := s.mapping(udp)
		m.HostIP = s.ours
		s.flush(conntrack.FlushStale, m)
		s.want("after FlushStale", 1003, 1004, 1005, 1006, 1007, 1008, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008)
		s.flush(conntrack.FlushOwn, m)
		s.want("after FlushOwn", 1004, 1005, 1006, 1007, 1008, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008)
		m.HostIP = s.outside // not an address of the host: the flow is only routed
		s.flush(conntrack.FlushStale, m)
		s.want("after the FlushStale of a foreign address", 1004, 1005, 1006, 1007, 1008, 2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008)
	})
}

// A range of ports that is too long for one dump each: it includes the first and the last port, and each
// leads to its own container port.
func TestFlushRun(t *testing.T) {
	t.Parallel()
	scenes(t, func(_ *testing.T, s *scene) {
		out := s.lan.Outside
		s.track(noRule)
		for i, port := range []uint16{8079, 8080, 8179, 8180} {
			s.send(out, udp, uint16(1000+i), netip.AddrPortFrom(s.ours, port))
		}
		s.publish(8100, netip.AddrPortFrom(s.container, 120)) // as in the range
		s.send(out, udp, 1010, netip.AddrPortFrom(s.ours, 8100))
		s.publish(8101, netip.AddrPortFrom(s.container, 120)) // not as in the range
		s.send(out, udp, 1011, netip.AddrPortFrom(s.ours, 8101))
		run := conntrack.Mapping{Proto: udp, HostPort: 8080, Count: 100, Container: netip.AddrPortFrom(s.container, 100)}
		s.flush(conntrack.FlushStale, run)
		s.want("after FlushStale", 1000, 1003, 1010)
		s.flush(conntrack.FlushOwn, run)
		s.want("after FlushOwn", 1000, 1003)
	})
}

// A flow in a conntrack zone is deleted, whether the zone is for one direction or both.
func TestFlushInZones(t *testing.T) {
	t.Parallel()
	scenes(t, func(_ *testing.T, s *scene) {
		for _, source := range []uint16{7000, 7001, 7002} {
			s.send(s.lan.Outside, udp, source, netip.AddrPortFrom(s.ours, 8080))
		}
		s.want("at first", 7000, 7001, 7002)
		s.flush(conntrack.FlushStale, s.mapping(udp))
		s.want("after FlushStale")
	})
}

// A thousand other flows remain, and a new flow leads where the mapping says.
func TestFlushAmongManyFlows(t *testing.T) {
	t.Parallel()
	scenes(t, func(_ *testing.T, s *scene) {
		before := s.many()
		s.send(s.lan.Outside, udp, 1001, netip.AddrPortFrom(s.ours, 8080))
		s.publish(8080, netip.AddrPortFrom(s.container, 8080))
		one, two := s.mapping(udp), s.mapping(udp)
		two.Count = 2 // one dump of all flows
		s.flush(conntrack.FlushStale, two)
		s.want("after FlushStale", before...)
		s.send(s.lan.Outside, udp, 1001, netip.AddrPortFrom(s.ours, 8080))
		s.flush(conntrack.FlushStale, one)
		s.flush(conntrack.FlushStale, two)
		s.want("after it began anew", slices.Concat([]int{1001}, before)...)
	})
}

// A cancelled flush, and one that cannot look up an address, deletes nothing and returns an error.
func TestFlushCalledOff(t *testing.T) {
	t.Parallel()
	scenes(t, func(t *testing.T, s *scene) {
		s.send(s.lan.Outside, udp, 1001, netip.AddrPortFrom(s.ours, 8080))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.try(ctx, conntrack.FlushStale, s.mapping(udp)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		unknown := errors.New("unknown")
		var err error
		s.host.Do(func() {
			err = conntrack.FlushStale(context.Background(), []conntrack.Mapping{s.mapping(udp)}, func(netip.Addr) (bool, error) { return true, unknown })
		})
		if !errors.Is(err, unknown) {
			t.Errorf("got %v, want what the query for the address gave", err)
		}
		s.want("after nothing was done", 1001)
	})
}
