package bandwidth

import (
	"fmt"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestRates: TCP is not faster than the rate, in either direction, nor much slower. How much slower depends
// on what else runs on the machine: BenchmarkRates prints it.
//
// Claim: TCP from and to a container is limited to the rates of the configuration, from 1 Mbit/s to 1 Gbit/s
func TestRates(t *testing.T) {
	for _, rate := range []uint64{1e6, 10e6, 100e6, 1e9} {
		t.Run(fmt.Sprintf("%d Mbit", rate/1e6), func(t *testing.T) {
			s := newScene(t, limits(rate, rate))
			during := 2 * time.Second
			if rate == 1e6 {
				during = 6 * time.Second // data arrives in pieces of up to 64 KiB, which are half a second of this rate
			}
			for _, egress := range []bool{true, false} {
				got := s.transfer(t, egress, time.Second, during)
				s.near(t, fmt.Sprintf("egress %t", egress), got, rate)
			}
		})
	}
}

// near fails if a flow had more than its rate and one burst since it began, which no pause of the machine can cause, or if its rate is far
// less. A machine that carries less than four times the rate without limits, as an emulated one, spends its time on sending and shaping: it is
// held to a tenth of what it carries.
func (s *scene) near(t testing.TB, what string, got transfer, rate uint64) {
	t.Helper()
	atMost(t, what, got, rate)
	if got.rate >= 0.5*float64(rate) {
		return
	}
	unlimited := send(t, s.peer.Netns, s.Netns, "10.1.0.1", time.Second, 2*time.Second).rate
	if unlimited > 4*float64(rate) || got.rate < 0.1*unlimited {
		t.Errorf("%s: only %.0f bit/s of %d; without limits %.0f", what, got.rate, rate, unlimited)
	}
}

// atMost fails if a flow had more than its rate and one burst of 100 ms, or of four packets, with 2 % for the kernel's rounding.
func atMost(t testing.TB, what string, got transfer, rate uint64) {
	t.Helper()
	burst := max(float64(rate)/10, 4*1518*8)
	if most := 1.02*float64(rate)*got.since.Seconds() + burst; got.bits > most {
		t.Errorf("%s: %.0f bits in %s, at most %.0f are within the limit of %d bit/s", what, got.bits, got.since, most, rate)
	}
}

// transfer sends from web to peer, or back.
func (s *scene) transfer(t testing.TB, egress bool, after, during time.Duration) transfer {
	t.Helper()
	from, to := s.peer, s.web
	if egress {
		from, to = s.web, s.peer
	}
	return send(t, from.Netns, to.Netns, address(to, true), after, during)
}

// BenchmarkRates prints the TCP goodput as a percentage of the rate, in both directions.
//
//	cd test && go test -run '^$' -bench Rates -benchtime 1x -exec ../scripts/as-root.sh ./network/bandwidth
func BenchmarkRates(b *testing.B) {
	for _, rate := range []uint64{1e6, 10e6, 100e6, 1e9} {
		for _, egress := range []bool{true, false} {
			direction := map[bool]string{true: "egress", false: "ingress"}[egress]
			b.Run(fmt.Sprintf("%s/%d Mbit", direction, rate/1e6), func(b *testing.B) {
				for b.Loop() {
					s := newScene(b, limits(rate, rate))
					got := s.transfer(b, egress, 2*time.Second, 6*time.Second)
					b.ReportMetric(100*got.rate/float64(rate), "%rate")
					b.ReportMetric(100*got.again, "%again")
					b.ReportMetric(float64(got.pause.Milliseconds()), "ms-pause")
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// TestFirstSecond: containerd and CRI-O pass the largest burst that they can with every rate. The first second is limited all the same.
//
// Claim: A burst is at most what the rate sends in 100 ms, so that containerd's and CRI-O's leave no traffic unlimited
func TestFirstSecond(t *testing.T) {
	const rate = 20e6
	for _, burst := range []uint64{1<<32 - 1, (1<<32-1)*8 - 1} {
		pod := cni.RuntimeConfig(cni.Conf{"bandwidth": cni.Conf{"ingressRate": uint64(rate), "ingressBurst": burst, "egressRate": uint64(rate), "egressBurst": burst}})
		s := newScene(t, pod)
		for _, egress := range []bool{true, false} {
			got := s.transfer(t, egress, 0, time.Second)
			atMost(t, fmt.Sprintf("burst %d, egress %t", burst, egress), got, rate)
		}
	}
}

// TestWideRates: the kernel has a rate in 32 bits, and an attribute for those that need more.
//
// Claim: Rates above 2^32 bit/s, and above 2^32 byte/s, are those of the kernel
func TestWideRates(t *testing.T) {
	for rate, want := range map[uint64]string{5e9: "rate 5Gbit ", 80e9: "rate 80Gbit ", 1<<64 - 1: "rate 18446744Tbit "} {
		s := newScene(t, limits(rate, rate))
		expect.Contains(t, s.qdiscs(s.dev), "qdisc tbf", want)
		expect.Contains(t, s.qdiscs(s.ifb()), "qdisc tbf", want)
		s.check().OK(t)
		if err := s.web.PingOnce(s.peer.Addresses("eth0")[0].Addr()); err != nil {
			t.Errorf("rate %d: %v", rate, err)
		}
	}
}

// TestUDP: a sender that does not slow down gets no more through than the rate.
//
// Claim: UDP from and to a container is limited to the rates of the configuration
func TestUDP(t *testing.T) {
	const rate = 8e6
	s := newScene(t, limits(rate, rate))
	for _, egress := range []bool{true, false} {
		from, to := s.peer, s.web
		if egress {
			from, to = s.web, s.peer
		}
		got := floodUDP(t, from.Netns, to.Netns, address(to, true), 2*time.Second)
		s.near(t, fmt.Sprintf("UDP, egress %t", egress), got, rate)
	}
}

// TestContainerCannotLift: with every capability in its network namespace, a container can change its own interface only.
//
// Claim: A container with CAP_NET_ADMIN cannot lift its bandwidth limits
func TestContainerCannotLift(t *testing.T) {
	const rate = 10e6
	s := newScene(t, limits(rate, rate))
	for _, command := range []string{
		"tc qdisc add dev eth0 root handle 1: htb", "tc qdisc del dev eth0 root", "tc qdisc add dev eth0 clsact",
		"ip link set eth0 txqueuelen 10000", "ip link set eth0 address 02:00:00:00:00:99", "ip link add link eth0 name mv0 up type macvlan",
		"ip link set eth0 down", "ip link set eth0 up",
	} {
		s.web.Run(t, "sh", "-c", command)
	}
	s.web.Settle("eth0")
	for _, egress := range []bool{true, false} {
		s.near(t, fmt.Sprintf("egress %t", egress), s.transfer(t, egress, time.Second, 2*time.Second), rate)
	}
}
