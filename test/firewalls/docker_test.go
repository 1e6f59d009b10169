package firewalls

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
	"github.com/patchbay-cni/patchbay/test/hostfw"
)

// ours are the rules of `"firewall": "auto"` for a bridge, in iptables' words.
func ours(bridge string) string {
	return fmt.Sprintf(`-A DOCKER-USER -i %[1]s -m comment --comment "patchbay:%[1]s" -j ACCEPT
-A DOCKER-USER -o %[1]s -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -m comment --comment "patchbay:%[1]s" -j ACCEPT
`, bridge)
}

// dockerSite has docker, and rules of somebody else in its chain.
func dockerSite(t *testing.T) (s *site, docker *hostfw.Docker, theirs string) {
	t.Helper()
	s = newSite(t, nil)
	docker = hostfw.StartDocker(t, s.Node)
	s.fw = docker.Firewall
	s.fw.Shell(t, `iptables -I DOCKER-USER -s 203.0.113.0/24 -j DROP -m comment --comment "the office's"
iptables -I DOCKER-USER -i cni0 -d 203.0.113.9 -j ACCEPT -m comment --comment patchbay
iptables-save | iptables-restore && ip6tables-save | ip6tables-restore`) // which makes chains of its own
	s.Baseline()
	return s, docker, s.userChain(t)
}

// userChain is docker's chain in iptables' words.
func (s *site) userChain(t testing.TB) string {
	t.Helper()
	return s.fw.Shell(t, "iptables -S DOCKER-USER")
}

// with are the rules of a chain with others at its head.
func with(chain, rules string) string {
	declared, rest, _ := strings.Cut(chain, "\n")
	return declared + "\n" + rules + rest
}

// What docker's FORWARD DROP does to a network, and that "auto" mends it, and not more.
func TestDockerAuto(t *testing.T) {
	for _, value := range []string{"0", "1"} {
		t.Run("bridge-nf-call="+value, func(t *testing.T) {
			t.Parallel()
			s, _, theirs := dockerSite(t)
			s.bridgeNetfilter(value)
			s.Baseline()
			report, auto := network(nil), network(conf{"firewall": "auto"})
			s.populate(t, report)
			passes := []string{neighbours}
			if value == "1" {
				passes = nil
			}
			s.connects(t, "report", 0, passes...)
			s.connects(t, "report", 1, everything()...)
			expect.Equal(t, "DOCKER-USER after report", s.userChain(t), theirs)
			s.leave(t, report)

			s.populate(t, auto)
			s.connects(t, "auto", 0, everything(shut)...)
			s.connects(t, "auto", 1, everything()...) // docker 20.10 has no rules for IPv6
			expect.Equal(t, "DOCKER-USER", s.userChain(t), with(theirs, ours("cni0")))
			s.healthy(t, "auto")
			s.check(t, s.web, auto.publishing(webPort())).OK(t)
			s.leave(t, auto)
			expect.Equal(t, "gc says", s.collect(t), gone)
		})
	}
}

// collect runs gc for people, which has to take the rules away: that is for the oracle to see.
func (s *site) collect(t testing.TB) (said string) {
	t.Helper()
	exit, out, errs := s.patchbay(t, "gc")
	if exit != 0 || errs != "" {
		t.Errorf("gc: exit %d: %s%s", exit, out, errs)
	}
	return out
}

const gone = "removed the rules of bridge cni0 from docker's chain DOCKER-USER\n"

// However many are attached at once, a bridge has two rules; iptables and docker can do with them, and gc takes them when nobody
// needs them, and not before.
func TestDockerRulesLive(t *testing.T) {
	t.Parallel()
	s, docker, theirs := dockerSite(t)
	auto := network(conf{"firewall": "auto"})
	const many = 20
	var crowd []*nettest.Container
	for i := range many {
		crowd = append(crowd, s.Container(fmt.Sprint("c", i)))
	}
	var started []*nettest.Running
	for i, c := range crowd {
		started = append(started, s.StartCNI(t, s.call(t, "ADD", c, auto.publishing(conf{"hostPort": 9000 + i, "containerPort": 80, "protocol": "tcp"}))))
	}
	for _, r := range started {
		r.Wait(t).OK(t)
	}
	stays := func(when string) {
		t.Helper()
		expect.Equal(t, "DOCKER-USER "+when, s.userChain(t), with(theirs, ours("cni0")))
	}
	stays("after many ADDs at once")
	s.add(t, s.web, auto.publishing(webPort()))
	stays("after one ADD more")
	s.fw.Shell(t, "iptables -S && iptables-save | iptables-restore --test && ip6tables-save | ip6tables-restore --test")
	docker.Restart(t)
	stays("after a restart of docker")
	for _, to := range hostAddrs {
		if err := dial(s.outside.Netns, to, hostPort, patient); err != nil {
			t.Errorf("published port after a restart of docker: %v", err)
		}
	}
	s.fw.Shell(t, "iptables-save | iptables-restore")
	stays("after a restore by iptables")
	var wait sync.WaitGroup
	for _, c := range crowd {
		wait.Go(func() { s.del(t, c, auto) })
	}
	wait.Wait()
	expect.Equal(t, "gc says", s.collect(t), "nothing is dead\n")
	stays("after gc beside a living container")
	gc := func(valid ...conf) {
		t.Helper()
		call := s.call(t, "GC", s.web, auto.with("cni.dev/valid-attachments", valid))
		call.ContainerID, call.Netns, call.IfName = "", "", ""
		s.CNI(t, call).OK(t)
	}
	gc(conf{"containerID": s.web.ID(), "ifname": "eth0"})
	stays("after the verb GC beside a living container")
	gc()
	expect.Equal(t, "DOCKER-USER after GC of all", s.userChain(t), theirs)
	s.add(t, s.web, auto)
	stays("after another ADD")
	s.del(t, s.web, auto)
	stays("after DEL")
	s.collect(t)
	expect.Equal(t, "DOCKER-USER after gc", s.userChain(t), theirs)
}
