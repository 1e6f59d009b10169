package bridge

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// create is the command, with an answer beforehand.
func create() []string { return []string{"bridge", "create", "br0", "--uplink", "eth0", "--yes"} }

// mostGap is the longest time without an echo that the tests allow.
const mostGap = 2 * time.Second

// TestCreateAndDelete: everything of eth0 moves to br0, and back.
//
// Claim: `patchbay bridge create` moves addresses, routes and policy rules of an interface with their attributes to a new bridge, and
// `bridge delete` moves them back: then the host is as before, byte for byte
func TestCreateAndDelete(t *testing.T) {
	t.Parallel()
	for name, state := range map[string][]string{"plain": plain(), "everything": rich()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, state)
			mac := s.MAC("eth0")
			expect.Contains(t, s.ok(t, create()...), "br0: kept, eth0 is its port\n")
			s.isBridged(t)
			expect.Equal(t, "MAC of br0", s.MAC("br0"), mac)
			s.reached(t)
			expect.Equal(t, "routes and rules", s.moved(t, "br0"), moved(s.before))
			s.refused(t, "bridge create br0 --uplink eth0", "br0: an interface of this name exists; choose another name, or delete it: patchbay bridge delete br0")
			expect.Contains(t, s.ok(t, "bridge", "delete", "br0"), "br0: deleted, eth0 is as before\n")
			s.unchanged(t)
			s.reached(t)
			s.refused(t, "bridge delete br0", "br0: interface not found")
		})
	}
}

// TestNoGateway: without a route that has a gateway --yes has nothing to wait for. Without --yes silent gateways are no reason to refuse.
//
// Claim: `bridge create --yes` is refused if there are gateways and none answers before the first change
func TestNoGateway(t *testing.T) {
	t.Parallel()
	t.Run("no route", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, plain())
		s.apply(t, []string{"ip route del default", "ip -6 route del default"})
		s.Baseline()
		expect.Contains(t, s.ok(t, create()...), "br0: no route of eth0 has a gateway, so none was checked\nbr0: kept, eth0 is its port\n")
		s.ok(t, "bridge", "delete", "br0")
	})
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, plain())
		s.apply(t, []string{"ip -6 route del default", "ip route replace default via 192.0.2.77"})
		s.Baseline()
		s.refused(t, "bridge create br0 --uplink eth0 --yes",
			"bridge br0: no gateway answers (eth0 has routes via [192.0.2.77]), so --yes cannot prove that this host is still reached; leave out --yes and confirm the bridge yourself")
		r := s.start(t, "--timeout", "10m")
		expect.Contains(t, r.said, "br0: no gateway answered before, so none was checked\n")
		s.ok(t, "bridge", "confirm")
		r.ends(t, 0, "")
		s.ok(t, "bridge", "delete", "br0")
	})
}

// moved returns the lines of a state about routes and rules that name br0, as they are about eth0.
func (s *site) moved(t testing.TB, bridge string) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(s.state(t)) {
		if strings.Contains(line, " "+bridge+" ") || strings.HasPrefix(line, "1000:") {
			lines = append(lines, strings.ReplaceAll(line, bridge, "eth0"))
		}
	}
	return routesOf(lines)
}

// moved returns the lines of a state about routes and rules that name eth0.
func moved(state string) []string {
	var lines []string
	for line := range strings.Lines(state) {
		if strings.Contains(line, " eth0 ") || strings.HasPrefix(line, "1000:") {
			lines = append(lines, line)
		}
	}
	return routesOf(lines)
}

// routesOf keeps routes and rules.
func routesOf(lines []string) []string {
	var kept []string
	for _, line := range lines {
		if !strings.HasPrefix(line, " ") && !strings.Contains(line, "mtu 1500 qdisc") {
			kept = append(kept, line)
		}
	}
	return kept
}

// TestStreamsSurvive: established TCP connections of both families continue during create, the removal without confirmation, and
// delete, also if the host drops what arrives through another interface than that of its route (rp_filter).
//
// Claim: Established TCP connections survive `bridge create` and `bridge delete`, with at most 2 s without an answer
func TestStreamsSurvive(t *testing.T) {
	t.Parallel()
	s := newSite(t, append(plain(), "sysctl -qw net.ipv4.conf.all.rp_filter=1", "sysctl -qw net.ipv4.conf.eth0.rp_filter=1"))
	var streams []*stream
	for _, addr := range []string{router4, router6, beyond4, beyond6} {
		streams = append(streams, s.stream(t, addr))
	}
	pinged := make(chan nettest.PingResult, 1)
	var over atomic.Bool
	go func() { pinged <- s.pings(&over) }()
	s.ok(t, create()...)
	expect.Equal(t, "rp_filter of br0", s.Sysctl("net/ipv4/conf/br0/rp_filter"), "1")
	s.ok(t, "bridge", "delete", "br0")
	if a := s.patchbay(t, "bridge", "create", "br0", "--uplink", "eth0", "--timeout", "1s"); a.exit != 1 {
		t.Errorf("not confirmed: exit %d\n%s%s", a.exit, a.stdout, a.stderr)
	}
	over.Store(true)
	for _, stream := range streams {
		gap, err := stream.end()
		if err != nil || gap > mostGap {
			t.Errorf("stream to %s: longest gap %v, %v", stream.to, gap, err)
		}
		t.Logf("stream to %s: longest gap %v", stream.to, gap)
	}
	t.Logf("ping: %v", <-pinged)
	s.unchanged(t)
}

// pings sends an echo to the router every time until it is over.
func (s *site) pings(over *atomic.Bool) (sum nettest.PingResult) {
	for !over.Load() {
		r := s.Ping(netip.MustParseAddr(beyond4), nettest.PingOptions{Count: 20, Timeout: 200 * time.Millisecond})
		sum.Sent, sum.Received, sum.Duplicates = sum.Sent+r.Sent, sum.Received+r.Received, sum.Duplicates+r.Duplicates
	}
	return sum
}

// stream is a TCP connection on which each byte is sent when the last one has come back.
type stream struct {
	to     string
	stop   atomic.Bool
	result chan error
	gap    time.Duration
}

// stream connects the host with the router.
func (s *site) stream(t testing.TB, addr string) *stream {
	t.Helper()
	var listener net.Listener
	var client net.Conn
	var err error
	s.router.Do(func() { listener, err = net.Listen("tcp", net.JoinHostPort(addr, "7000")) })
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		server, err := listener.Accept()
		listener.Close()
		if err == nil {
			_, _ = io.Copy(server, server)
			server.Close()
		}
	}()
	s.Do(func() { client, err = net.Dial("tcp", net.JoinHostPort(addr, "7000")) })
	if err != nil {
		t.Fatal(err)
	}
	st := &stream{to: addr, result: make(chan error, 1)}
	go func() { st.result <- st.run(client) }()
	return st
}

func (st *stream) run(client net.Conn) error {
	defer client.Close()
	one := make([]byte, 1)
	for !st.stop.Load() {
		began := time.Now()
		if err := client.SetDeadline(began.Add(20 * time.Second)); err != nil {
			return err
		}
		if _, err := client.Write(one); err != nil {
			return err
		}
		if _, err := io.ReadFull(client, one); err != nil {
			return err
		}
		st.gap = max(st.gap, time.Since(began))
	}
	return nil
}

// end closes the stream and returns the longest time until an echo.
func (st *stream) end() (time.Duration, error) {
	st.stop.Store(true)
	err := <-st.result
	return st.gap, err
}
