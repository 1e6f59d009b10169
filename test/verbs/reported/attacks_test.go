package reported

import (
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/network/attacks"
)

// Claim: macspoofchk compares the MAC alone; the check holds after a flush and reload, for another IPAM plugin's addresses and behind
// another plugin; packets sent before an address is assigned pass; CHECK names each lost part, DEL leaves nothing behind; a container on a
// bridge that Patchbay created ignores router advertisements, also without IPv6
func TestAttacks(t *testing.T) { runRows(t, attackRows()) }

func attackRows() []row {
	return slices.Concat(loopbackRows(), selfRows(), spoofRows(), routerRows())
}

// loopbackRows: a port of a loopback address is reached only from the host.
func loopbackRows() []row {
	const kind = "a port published on a loopback address is reached only from the host"
	one := func(number, name string, run func(t *testing.T)) row { return row{number, name, kind, run} }
	return []row{
		one("27", "127.0.0.1 from the LAN, by a frame to the host's MAC", func(t *testing.T) {
			s := attacks.NewScene(t, nil)
			fromHost(s, "127.0.0.1", attacks.Private)
			s.Fails(attacks.Named("a port of 127.0.0.1 from the outside")[0])
			fromHost(s, "127.0.0.1", attacks.Private)
		}),
		one("27.1", "127.0.0.1 from a container of another bridge", func(t *testing.T) {
			s := attacks.NewScene(t, nil)
			s.Fails(attacks.Named("a port of 127.0.0.1 from another bridge")[0])
			fromHost(s, "127.0.0.1", attacks.Private)
		}),
		one("27.2", "127.0.0.1 from the LAN where the uplink has route_localnet, and from the same bridge", func(t *testing.T) {
			s := attacks.NewHost(t)
			s.SetSysctl("net/ipv4/conf/up0/route_localnet", "1")
			s.Baseline()
			s.Attach(nil)
			for _, a := range attacks.Named("a port of 127.0.0.1 from the outside", "a port of 127.0.0.1 from the same bridge") {
				s.Fails(a)
			}
			fromHost(s, "127.0.0.1", attacks.Private)
		}),
		one("27.3", "127.0.0.1 with another mark bit (markMasqBit)", func(t *testing.T) {
			s := attacks.NewScene(t, cni.Conf{"markMasqBit": 20})
			for _, a := range attacks.Named("a port of 127.0.0.1 from the outside", "a port of 127.0.0.1 from another bridge", "a port of 127.0.0.1 from the same bridge") {
				s.Fails(a)
			}
			fromHost(s, "127.0.0.1", attacks.Private)
		}),
		one("27.4", "a wildcard mapping, through 127.0.0.53", func(t *testing.T) {
			s := attacks.NewScene(t, nil)
			token := attacks.Token()
			to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.53"), attacks.Published)
			from := netip.AddrPortFrom(s.Stranger.Addrs[0], 4000)
			s.BySender(s.Stranger, s.ToGateway(s.Stranger, attacks.UDP(from, to, token)))
			notHeard(s, s.Victim, token)
			fromHost(s, "127.0.0.53", attacks.Published)
		}),
		one("27.5", "127.0.0.1 after the ruleset was flushed and built anew", func(t *testing.T) {
			s := attacks.NewScene(t, nil)
			s.Run(t, "nft", "flush ruleset")
			s.Run(t, nettest.Patchbay(t), "reload")
			s.Fails(attacks.Named("a port of 127.0.0.1 from the outside")[0])
			fromHost(s, "127.0.0.1", attacks.Private)
		}),
	}
}

// fromHost requires that the host reaches the victim by one of its own addresses.
func fromHost(s *attacks.Scene, addr string, port int) {
	s.T.Helper()
	token := attacks.Token()
	var err error
	s.Do(func() {
		fd, failed := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err = failed; err == nil {
			defer unix.Close(fd)
			err = unix.Sendto(fd, []byte(token), 0, &unix.SockaddrInet4{Addr: netip.MustParseAddr(addr).As4(), Port: port})
		}
	})
	if err != nil {
		s.T.Fatalf("the host sends to %s: %v", addr, err)
	}
	heard(s, s.Victim, token)
}

func heard(s *attacks.Scene, b *attacks.Box, token string) {
	s.T.Helper()
	if !b.Ear.Wait(token, attacks.Patience) {
		s.T.Errorf("%s did not get what it should", b.Name())
	}
}

// notHeard requires that a packet did not arrive; call it after BySender or FromOutside has returned.
func notHeard(s *attacks.Scene, b *attacks.Box, token string) {
	s.T.Helper()
	if b.Ear.Heard(token) {
		s.T.Errorf("%s got what it should not", b.Name())
	}
}

// selfRows: the rule that accepts a container's packets to itself accepts no others.
func selfRows() []row {
	const kind = "the rule that lets a container reach its own published port accepts no other packets"
	one := func(number, name string, run func(t *testing.T)) row { return row{number, name, kind, run} }
	itself := func(set cni.Conf, calls string, names ...string) func(t *testing.T) {
		return func(t *testing.T) {
			s := attacks.NewHost(t)
			nettest.Need(t, nettest.BrNetfilter)
			s.SetSysctl("net/bridge/bridge-nf-call-iptables", calls)
			s.SetSysctl("net/bridge/bridge-nf-call-ip6tables", calls)
			s.Baseline()
			s.Attach(set)
			for _, a := range attacks.Named(names...) {
				s.Fails(a)
			}
			reachesItself(s)
		}
	}
	isolated, unchecked := cni.Conf{"ingressPolicy": "isolated"}, cni.Conf{"ingressPolicy": "isolated", "spoofCheck": "none"}
	const self4, self6 = "source and destination are the neighbour by IPv4", "source and destination are the neighbour by IPv6"
	const port4, port6 = "the neighbour's address to its published port by IPv4", "the neighbour's address to its published port by IPv6"
	return []row{
		one("28", "source and destination are the victim, any port, spoofCheck none", itself(unchecked, "0", self4)),
		one("28.1", "the same by IPv6", itself(unchecked, "0", self6)),
		one("28.2", "the same where bridged packets pass the ruleset", itself(unchecked, "1", self4, self6)),
		one("28.3", "source is the victim, to its published port", itself(isolated, "0", port4, port6, self4, self6)),
		one("28.4", "the same where bridged packets pass the ruleset", itself(isolated, "1", port4, port6, self4, self6)),
	}
}

// reachesItself requires that the victim reaches its own published port, by both families.
func reachesItself(s *attacks.Scene) {
	s.T.Helper()
	for i, addr := range attacks.Uplink {
		token := attacks.Token()
		packet := attacks.UDP(netip.AddrPortFrom(s.Victim.Addrs[i], 4000), netip.AddrPortFrom(addr, attacks.Published), token)
		s.BySender(s.Victim, s.ToGateway(s.Victim, packet))
		heard(s, s.Victim, token)
	}
}
