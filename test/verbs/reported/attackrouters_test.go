package reported

import (
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/network/attacks"
)

// routerRows: on a bridge that Patchbay created no container is a router.
func routerRows() []row {
	const kind = "a router advertisement of a container has no effect on its neighbours"
	one := func(number, name string, run func(t *testing.T)) row { return row{number, name, kind, run} }
	only4 := cni.Conf{"type": "patchbay", "ranges": [][]cni.Conf{{{"subnet": "10.95.0.0/24"}}}}
	return []row{
		one("30", "a network with IPv4 alone", func(t *testing.T) { ignores(t, cni.Conf{"ipam": only4}) }),
		one("30.1", "a network with both families", func(t *testing.T) { ignores(t, nil) }),
		one("30.2", "an interface that another plugin created", func(t *testing.T) {
			s := attacks.NewScene(t, cni.Conf{"ipam": only4})
			b := chained(s, cni.Conf{"ipam": only4}, "known")
			s.CNI(t, b.Call("ADD")).OK(t)
			t.Cleanup(func() { s.CNI(t, b.Call("DEL")).OK(t); s.Run(t, "ip", "link", "del", "made0") })
			ignoredBy(s, b)
		}),
		one("30.3", "addresses of another IPAM plugin", func(t *testing.T) {
			s := attacks.NewScene(t, cni.Conf{"ipam": only4})
			static := cni.Conf{"type": "static", "addresses": []cni.Conf{{"address": "10.95.0.50/24"}}}
			ignoredBy(s, s.BoxBy("third", attacks.Config(cni.Conf{"ipam": static}), nettest.Program(t, "static")))
		}),
		one("30.4", "an adopted bridge: routers are heard, with spoofCheck full none among the neighbours", func(t *testing.T) {
			for level, believes := range map[string]bool{"none": true, "full": false} {
				s := attacks.NewHost(t)
				s.Bridge(attacks.Bridge)
				s.Baseline()
				s.Attach(cni.Conf{"ipam": only4, "spoofCheck": level})
				if got := attacks.Until(window(believes), func() bool { return advertised(s, s.Victim) }); got != believes {
					t.Errorf("spoofCheck %s: the victim believes an advertisement: %t, want %t", level, got, believes)
				}
				attacks.ForgetRouters(t, s.Victim)
			}
		}),
		one("30.5", "a namespace of patchbay up", func(t *testing.T) {
			h := nettest.Host(t)
			h.Run(t, nettest.Patchbay(t), "up", "web")
			for _, key := range []string{"accept_ra", "autoconf"} {
				if got := h.Run(t, "ip", "netns", "exec", "web", "cat", "/proc/sys/net/ipv6/conf/eth0/"+key); got != "0\n" {
					t.Errorf("%s of eth0 is %q", key, got)
				}
			}
			h.Run(t, nettest.Patchbay(t), "down", "web")
		}),
	}
}

func ignores(t *testing.T, set cni.Conf) {
	t.Helper()
	s := attacks.NewScene(t, set)
	ignoredBy(s, s.Victim)
}

// ignoredBy sends advertisements to a container, which accepts them only if its sysctls say so.
func ignoredBy(s *attacks.Scene, b *attacks.Box) {
	s.T.Helper()
	if advertised(s, b) {
		s.T.Errorf("%s takes the attacker for a router", b.Name())
	}
	defer attacks.ForgetRouters(s.T, b)
	b.SetSysctl("net/ipv6/conf/eth0/accept_ra", "1")
	b.SetSysctl("net/ipv6/conf/eth0/autoconf", "1")
	if !attacks.Until(attacks.Patience, func() bool { return advertised(s, b) }) {
		s.T.Errorf("%s does not believe the attacker with accept_ra either: the test could not fail", b.Name())
	}
}

// advertised sends an advertisement, and reports whether a container accepts it.
func advertised(s *attacks.Scene, b *attacks.Box) bool {
	s.T.Helper()
	s.BySender(s.Attacker, s.RouterAdvertisement())
	return s.Believes(b)
}

// window is how long to wait for a packet that must arrive; it passes once for one that must not.
func window(comes bool) time.Duration {
	if comes {
		return attacks.Patience
	}
	return 0
}
