package hosts

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// pod is a container on a host.
type pod struct {
	*nettest.Container
	addr netip.Addr
}

// attach attaches a new container to the network.
func (m *machine) attach(t testing.TB, name string) pod {
	t.Helper()
	p := pod{Container: m.Container(name)}
	if out, err := m.patchbay("attach", name, "--network", network); err != nil {
		t.Fatalf("host %s: attach %s: %v\n%s", m.name, name, err, out)
	}
	for _, a := range p.Addresses("eth0") {
		if a.Addr().Is4() {
			p.addr = a.Addr()
		}
	}
	return p
}

func (m *machine) detach(t testing.TB, p pod) {
	t.Helper()
	if out, err := m.patchbay("detach", p.Name()); err != nil {
		t.Errorf("host %s: detach %s: %v\n%s", m.name, p.Name(), err, out)
	}
}

// TestThreeHosts: containers of three hosts have different addresses of one subnet, reach each other and the router, and leave nothing.
//
// Claim: Containers on three hosts of one LAN, with one etcd, have different addresses of one subnet and reach each other
func TestThreeHosts(t *testing.T) {
	const each = 4
	s := newSite(t, 3)
	s.initialize(t, "--subnet", "192.0.2.0/24", "--pool", "192.0.2.128/25", "--block", "28", "--gateway", "192.0.2.1", "--exclude", "192.0.2.130")
	var pods []pod
	owner := map[netip.Addr]string{}
	for _, m := range s.hosts {
		m.start(t)
	}
	for _, m := range s.hosts {
		m.awaitStatus(t, "has a block", isReady)
		for i := range each {
			p := m.attach(t, fmt.Sprintf("%s%d", m.name, i))
			pods = append(pods, p)
			if owner[p.addr] != "" || !netip.MustParsePrefix("192.0.2.128/25").Contains(p.addr) {
				t.Errorf("%s on host %s, and on host %s", p.addr, m.name, owner[p.addr])
			}
			owner[p.addr] = m.name
			if !m.hasBlockOf(p.addr) {
				t.Errorf("%s on host %s is in none of its blocks: %+v", p.addr, m.name, m.status().Blocks)
			}
		}
	}
	reached := 0
	for _, p := range pods {
		for _, q := range append(pods, pod{addr: netip.MustParseAddr(nettest.LANRouter4)}, pod{addr: netip.MustParseAddr(nettest.LANOutside4)}) {
			if err := p.PingOnce(q.addr); err != nil {
				t.Errorf("%s to %s: %v", p.addr, q.addr, err)
				continue
			}
			reached++
		}
	}
	t.Logf("%d addresses on 3 hosts, %d pings answered; patchbay-lan of host a: %s", len(owner), reached, s.hosts[0].memory(t))
	s.checkListing(t)
	for i, p := range pods {
		s.hosts[i/each].detach(t, p)
	}
	for _, m := range s.hosts {
		m.leave(t)
	}
	if out, err := s.hosts[0].lan(t, "ls", network); err != nil || !strings.Contains(out, "8 blocks of /28 in 192.0.2.128/25, 8 free") || strings.Contains(out, "NODE") {
		t.Errorf("after all hosts have left: %v\n%s", err, out)
	}
}

// memory returns the line about resident memory of the program's status.
func (m *machine) memory(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.program.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "VmRSS:") {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	return ""
}

// hasBlockOf reports whether an address is in a block of the host, as its status has them.
func (m *machine) hasBlockOf(addr netip.Addr) bool {
	for _, b := range m.status().Blocks {
		if block, err := netip.ParsePrefix(b.Block); err == nil && block.Contains(addr) {
			return true
		}
	}
	return false
}

// checkListing requires that ls has every host with its blocks, and that no two hosts have the same one: the probe of ADD would hide that.
func (s *site) checkListing(t testing.TB) {
	t.Helper()
	out, err := s.hosts[1].lan(t, "ls", network)
	if err != nil {
		t.Errorf("ls: %v\n%s", err, out)
	}
	owners := map[string]string{}
	for _, m := range s.hosts {
		for _, b := range m.status().Blocks {
			if owners[b.Block] != "" {
				t.Errorf("block %s is that of host %s and of host %s", b.Block, owners[b.Block], m.name)
			}
			owners[b.Block] = m.name
			if !strings.Contains(out, b.Block) {
				t.Errorf("ls does not list %s of host %s:\n%s", b.Block, m.name, out)
			}
		}
	}
}

// leave stops the program, and releases the blocks of the host.
func (m *machine) leave(t testing.TB) {
	t.Helper()
	if out, err := m.lan(t, "release", network, "--node", m.name); err == nil || !strings.Contains(out, "runs already") {
		t.Errorf("release while patchbay-lan runs: %v\n%s", err, out)
	}
	if err := m.end(syscall.SIGTERM); err != nil {
		t.Errorf("patchbay-lan run: %v\n%s", err, m.output)
	}
	if m.read(conflist) != "" {
		t.Errorf("the network configuration exists after the end")
	}
	if out, err := m.lan(t, "release", network, "--node", m.name); err != nil || !strings.Contains(out, "released") {
		t.Errorf("release: %v\n%s", err, out)
	}
}

// TestIPv6: a network of IPv6.
func TestIPv6(t *testing.T) {
	s := newSite(t, 1)
	m := s.hosts[0]
	s.initialize(t, "--subnet", "2001:db8:0:1::/64", "--pool", "2001:db8:0:1::1000/118", "--gateway", nettest.LANRouter6)
	m.start(t)
	m.awaitStatus(t, "has a block", isReady)
	p := m.attach(t, "six")
	if err := p.PingOnce(netip.MustParseAddr(nettest.LANOutside6)); err != nil {
		t.Error(err)
	}
	text := fmt.Sprint(p.Addresses("eth0"))
	if !strings.Contains(text, "2001:db8:0:1::1") || strings.Contains(text, "192.0.2.") {
		t.Errorf("addresses %s", text)
	}
	m.detach(t, p)
}

// etcdDown is how long TestEtcdStops goes on attaching without etcd: PATCHBAY_ETCD_DOWN, 2 s by default.
func etcdDown(t *testing.T) time.Duration {
	t.Helper()
	down, err := time.ParseDuration(cmp.Or(os.Getenv("PATCHBAY_ETCD_DOWN"), "2s"))
	if err != nil {
		t.Fatal(err)
	}
	return down
}

// attachWithoutEtcd detaches a container and attaches it again, for as long as etcd is to be stopped.
func (m *machine) attachWithoutEtcd(t *testing.T, name string) {
	t.Helper()
	began, pairs := time.Now(), 0
	for down := etcdDown(t); time.Since(began) < down && !t.Failed(); time.Sleep(250 * time.Millisecond) {
		for _, args := range [][]string{{"detach", name}, {"attach", name, "--network", network}} {
			if out, err := m.patchbay(args...); err != nil {
				t.Errorf("%s after %s without etcd: %v\n%s", args, time.Since(began), err, out)
			}
		}
		pairs++
	}
	t.Logf("%d times detached and attached while etcd was stopped for %s", pairs, time.Since(began).Round(time.Second))
}

// TestEtcdStops: while etcd does not answer, containers are attached and detached; a full block is error 11; when etcd answers again the host
// claims another block.
//
// Claim: Without etcd containers are attached as long as the host's blocks have free addresses, then ADD fails with code 11; no verb opens a
// socket of IPv4 or IPv6 to reach etcd
func TestEtcdStops(t *testing.T) {
	s := newSite(t, 1)
	m := s.hosts[0]
	s.initialize(t, "--subnet", "192.0.2.0/24", "--pool", "192.0.2.128/26", "--block", "28")
	m.start(t)
	m.awaitStatus(t, "has a block", isReady)
	s.stopEtcd()
	var pods []pod
	free := m.status().Free
	for i := range free {
		pods = append(pods, m.attach(t, fmt.Sprintf("c%d", i)))
	}
	p := m.Container("full")
	answer := m.CNI(t, nettest.Call{Command: "ADD", ContainerID: p.ID(), Netns: p.Path(), IfName: "eth0", Config: m.single(t)})
	if answer.Exit == 0 || !strings.Contains(string(answer.Stdout), `"code": 11`) {
		t.Errorf("ADD with %d of %d addresses: %s", len(pods), free, answer.Stdout)
	}
	m.detach(t, pods[0])
	m.noSockets(t)
	pods[0] = m.attach(t, "again")
	m.attachWithoutEtcd(t, pods[0].Name())
	s.startEtcd(t)
	m.awaitStatus(t, "has another block", func(s lan.Status) bool { return len(s.Blocks) == 2 && s.Free > 0 })
	pods = append(pods, m.attach(t, "more"))
	for _, p := range pods {
		m.detach(t, p)
	}
}
