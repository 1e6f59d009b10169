package firewalls

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/firewalls/hostfw"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// ours returns the rules of `"firewall": "auto"` for a bridge in iptables' syntax.
func ours(bridge string) string {
	return fmt.Sprintf(`-A DOCKER-USER -i %[1]s -m comment --comment "patchbay:%[1]s" -j ACCEPT
-A DOCKER-USER -o %[1]s -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -m comment --comment "patchbay:%[1]s" -j ACCEPT
`, bridge)
}

// dockerSite returns a host with Docker, and rules of another program in DOCKER-USER.
func dockerSite(t *testing.T) (s *site, docker *hostfw.Docker, theirs string) {
	t.Helper()
	s = newSite(t, nil)
	docker = hostfw.StartDocker(t, s.Node)
	s.fw = docker.Firewall
	s.fw.Shell(t, `iptables -I DOCKER-USER -s 203.0.113.0/24 -j DROP -m comment --comment "the office's"
iptables -I DOCKER-USER -i cni0 -d 203.0.113.9 -j ACCEPT -m comment --comment patchbay
iptables-save | iptables-restore && ip6tables-save | ip6tables-restore`) // which creates base chains
	s.Baseline()
	return s, docker, s.userChain(t)
}

// userChain returns DOCKER-USER in iptables' syntax.
func (s *site) userChain(t testing.TB) string {
	t.Helper()
	return s.fw.Shell(t, "iptables -S DOCKER-USER")
}

// with inserts rules at the head of a chain.
func with(chain, rules string) string {
	declared, rest, _ := strings.Cut(chain, "\n")
	return declared + "\n" + rules + rest
}

// TestDockerAuto: Docker's FORWARD policy drops the traffic of a network; "auto" accepts it, and nothing more.
//
// Claim: Under docker a network with `"firewall": "auto"` has its published ports, its outbound traffic and its neighbours, with two rules
// for its bridge however many ADDs run at once; without it the missing rules are named
// Claim: These rules survive a restart of docker and a restore by iptables, which can read them; `patchbay gc` and GC remove them when no
// record names the bridge, and other rules in that chain stay
func TestDockerAuto(t *testing.T) {
	for _, value := range []string{"0", "1"} {
		t.Run("bridge-nf-call="+value, func(t *testing.T) {
			t.Parallel()
			s, _, theirs := dockerSite(t)
			s.bridgeNetfilter(value)
			s.Baseline()
			report, auto := network(), network(cni.Conf{"firewall": "auto"})
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
			s.check(t, s.web, auto.With(cni.Ports(webPort()))).OK(t)
			s.leave(t, auto)
			expect.Equal(t, "gc says", s.collect(t), gone)
		})
	}
}

// collect runs `patchbay gc`. The leak oracle checks that it removes the rules.
func (s *site) collect(t testing.TB) (said string) {
	t.Helper()
	exit, out, errs := s.patchbay(t, "gc")
	if exit != 0 || errs != "" {
		t.Errorf("gc: exit %d: %s%s", exit, out, errs)
	}
	return out
}

const gone = "removed the rules of bridge cni0 from docker's chain DOCKER-USER\n"

// TestDockerRulesLive: a bridge has two rules however many ADDs run concurrently; iptables and Docker handle them, and gc removes them when no
// record names the bridge, and not before.
//
// Claim: Under docker a network with `"firewall": "auto"` has its published ports, its outbound traffic and its neighbours, with two rules
// for its bridge however many ADDs run at once; without it the missing rules are named
// Claim: These rules survive a restart of docker and a restore by iptables, which can read them; `patchbay gc` and GC remove them when no
// record names the bridge, and other rules in that chain stay
func TestDockerRulesLive(t *testing.T) {
	t.Parallel()
	s, docker, theirs := dockerSite(t)
	auto := network(cni.Conf{"firewall": "auto"})
	const many = 20
	var crowd []*nettest.Container
	for i := range many {
		crowd = append(crowd, s.Container(fmt.Sprint("c", i)))
	}
	var started []*nettest.Running
	for i, c := range crowd {
		started = append(started, s.StartCNI(t, cni.Call(t, "ADD", c, auto.With(cni.Ports(cni.Conf{"hostPort": 9000 + i, "containerPort": 80, "protocol": "tcp"})))))
	}
	for _, r := range started {
		r.Wait(t).OK(t)
	}
	stays := func(when string) {
		t.Helper()
		expect.Equal(t, "DOCKER-USER "+when, s.userChain(t), with(theirs, ours("cni0")))
	}
	stays("after concurrent ADDs")
	s.add(t, s.web, auto.With(cni.Ports(webPort())))
	stays("after one more ADD")
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
	expect.Equal(t, "gc says", s.collect(t), "nothing to clean up\n")
	stays("after gc with a live container")
	gc := func(valid ...cni.Conf) {
		t.Helper()
		call := cni.Call(t, "GC", s.web, auto.With(cni.Conf{"cni.dev/valid-attachments": valid}))
		call.ContainerID, call.Netns, call.IfName = "", "", ""
		s.CNI(t, call).OK(t)
	}
	gc(cni.Conf{"containerID": s.web.ID(), "ifname": "eth0"})
	stays("after the verb GC with a live container")
	gc()
	expect.Equal(t, "DOCKER-USER after GC of all", s.userChain(t), theirs)
	s.add(t, s.web, auto)
	stays("after another ADD")
	s.del(t, s.web, auto)
	stays("after DEL")
	s.collect(t)
	expect.Equal(t, "DOCKER-USER after gc", s.userChain(t), theirs)
}
