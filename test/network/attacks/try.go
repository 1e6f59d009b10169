package attacks

import "testing"

// Fails wants an attack to have no effect.
func (s *Scene) Fails(a Attack) {
	s.T.Helper()
	s.Resolve()
	defer ForgetRouters(s.T, s.Victim)
	token := Token()
	a.Send(s, token)
	if a.Did(s, token) {
		s.T.Errorf("%s: it had its effect", a.Name)
	}
}

// Succeeds wants an attack to have its effect: else it could not be seen that it has none elsewhere. It is made again and again: the
// kernel takes no second answer about an address within one tick of its clock.
func (s *Scene) Succeeds(a Attack) {
	s.T.Helper()
	s.Resolve()
	defer ForgetRouters(s.T, s.Victim)
	token := Token()
	succeeded := Until(Patience, func() bool {
		a.Send(s, token)
		return a.Did(s, token)
	})
	if !succeeded {
		s.T.Errorf("%s: it has no effect where nothing refuses it either: the test could not fail", a.Name)
	}
}

// ForgetRouters takes away what router advertisements have made in a container, which ignores them from then on.
func ForgetRouters(t testing.TB, b *Box) {
	t.Helper()
	b.SetSysctl("net/ipv6/conf/eth0/accept_ra", "0")
	b.SetSysctl("net/ipv6/conf/eth0/autoconf", "0")
	b.Run(t, "ip", "-6", "route", "flush", "proto", "ra")
	b.Run(t, "ip", "-6", "address", "flush", "dev", "eth0", "dynamic")
}

// Resolve makes host and containers resolve each other's addresses anew.
func (s *Scene) Resolve() {
	s.T.Helper()
	s.Run(s.T, "ip", "neigh", "flush", "dev", Bridge)
	for _, b := range []*Box{s.Victim, s.Attacker} {
		b.Run(s.T, "ip", "neigh", "flush", "dev", "eth0")
		for i, addr := range Gateway {
			if err := b.PingOnce(addr); err != nil {
				s.T.Fatalf("%s to its gateway: %v", b.Name(), err)
			}
			if err := s.PingOnce(b.Addrs[i]); err != nil {
				s.T.Fatalf("the host to %s: %v", b.Name(), err)
			}
		}
	}
}
