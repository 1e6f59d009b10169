package hosts

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/lan"
)

// shortLived makes a lease of 20 s: the network configuration is removed after 10 s without etcd.
const shortLived = "--forget-after=20s"

// TestPartition: a host that is cut off from etcd gives no more addresses after half of the time of its lease; its container stays on the
// LAN, and another host that claims the block does not give its address away. With the connection the host has a block again.
//
// Claim: A host of a LAN that has not reached etcd for half of the time of its lease removes its network configuration until etcd answers
// Claim: A block of a LAN that another host had is probed before its first use; if a host of the LAN answers, no container gets an address of it
func TestPartition(t *testing.T) {
	s := newSite(t, 2)
	a, b := s.hosts[0], s.hosts[1]
	s.initialize(t, "--subnet", "192.0.2.0/24", "--pool", "192.0.2.128/27", "--block", "28")
	a.start(t, shortLived)
	a.awaitStatus(t, "has a block", isReady)
	p := a.attach(t, "kept")
	a.awaitStatus(t, "has all blocks", func(s lan.Status) bool { return len(s.Blocks) == 2 })
	a.Run(t, "nft", "add table inet cut; add chain inet cut out { type filter hook output priority 0; }; add rule inet cut out ip daddr "+etcdAddress+" drop")
	a.awaitStatus(t, "is fenced", func(s lan.Status) bool { return s.State == lan.Waiting })
	if a.read(conflist) != "" {
		t.Error("the network configuration exists")
	}
	if out, err := a.patchbay("up", "refused", "--network", network); err == nil {
		t.Errorf("a container got an address: %s", out)
		_, _ = a.patchbay("down", "refused")
	}
	// The lease ends, and b claims both blocks; it cannot use the one with the container.
	await(t, "the lease of host a ends", func() (bool, string) { blocks := b.listed(t, "a"); return len(blocks) == 0, fmt.Sprint(blocks) })
	b.start(t)
	b.awaitStatus(t, "has a block", isReady)
	q := b.attach(t, "other")
	b.awaitStatus(t, "has one block, and one in quarantine", func(s lan.Status) bool {
		return len(s.Blocks) == 2 && isReady(s) && strings.Contains(strings.Join(s.Problems, " "), "a host of the LAN has "+p.addr.String())
	})
	if err := p.PingOnce(q.addr); err != nil || p.addr == q.addr {
		t.Errorf("%s does not reach %s: %v", p.addr, q.addr, err)
	}
	a.Run(t, "nft", "delete table inet cut")
	a.awaitStatus(t, "knows that it has lost its blocks", func(s lan.Status) bool {
		return strings.Contains(strings.Join(s.Problems, " "), "belongs to the host b now, and containers of this host have "+p.addr.String())
	})
	a.detach(t, p)
	b.detach(t, q)
}

// TestStartWithoutEtcd: after a kill the network configuration is there; the next start removes it until etcd has confirmed the blocks, which
// are the same.
//
// Claim: `patchbay doctor` reports a network of patchbay-lan whose program does not run, and the problems of one that runs
// Claim: From the start of patchbay-lan until etcd has confirmed the blocks of the host there is no network configuration
func TestStartWithoutEtcd(t *testing.T) {
	s := newSite(t, 1)
	m := s.hosts[0]
	s.initialize(t, "--subnet", "192.0.2.0/24", "--pool", "192.0.2.128/26", "--block", "28")
	m.start(t)
	m.awaitStatus(t, "has a block", isReady)
	before := m.blocks(t)
	if err := m.end(syscall.SIGKILL); err == nil {
		t.Error("the program was not killed")
	}
	if len(before) != 1 || len(m.blocks(t)) != 1 {
		t.Fatalf("blocks %v, after the kill %v", before, m.blocks(t))
	}
	if out, err := m.patchbay("doctor"); err == nil || !strings.Contains(out, "patchbay-lan does not run for network lan") {
		t.Errorf("doctor after the kill: %v\n%s", err, out)
	}
	s.stopEtcd()
	m.start(t)
	if out, err := m.Command(patchbayLAN(t), "wait", network, "--timeout", "2s").CombinedOutput(); err == nil || !strings.Contains(string(out), "lan is not ready after 2s") {
		t.Errorf("wait: %v\n%s", err, out)
	}
	m.awaitStatus(t, "reports that etcd does not answer", func(s lan.Status) bool {
		return s.State == lan.Waiting && strings.Contains(strings.Join(s.Problems, " "), "etcd does not answer at "+endpoints)
	})
	if m.read(conflist) != "" {
		t.Error("the network configuration exists before etcd has confirmed it")
	}
	if out, err := m.patchbay("doctor"); err == nil || !strings.Contains(out, "network lan: list the keys") || strings.Contains(out, "does not run") {
		t.Errorf("doctor without etcd: %v\n%s", err, out)
	}
	if err := m.end(syscall.SIGKILL); err == nil {
		t.Error("the program was not killed")
	}
	if out, err := m.patchbay("doctor"); err == nil || !strings.Contains(out, "patchbay-lan does not run for network lan, which has no network configuration") {
		t.Errorf("doctor after a kill without a network configuration: %v\n%s", err, out)
	}
	m.start(t)
	s.startEtcd(t)
	m.Run(t, patchbayLAN(t), "wait", network)
	if out, _ := m.patchbay("status"); !strings.Contains(out, "\nlan lan: patchbay-lan runs, ready; 16 free in 1 block of 192.0.2.0/24; no problems") {
		t.Errorf("status with etcd: %s", out)
	}
	if out, err := m.patchbay("doctor"); err != nil {
		t.Errorf("doctor with etcd: %v\n%s", err, out)
	}
	if after := m.blocks(t); len(after) != 1 || after[0] != before[0] {
		t.Errorf("blocks %v, before %v", after, before)
	}
}

// TestForget: a host that is gone is forgotten at once, one that may run only by force.
func TestForget(t *testing.T) {
	s := newSite(t, 2)
	a, b := s.hosts[0], s.hosts[1]
	s.initialize(t, "--subnet", "192.0.2.0/24", "--pool", "192.0.2.128/28", "--block", "28")
	a.start(t)
	a.awaitStatus(t, "has the block", isReady)
	b.start(t)
	b.awaitStatus(t, "has none", func(s lan.Status) bool { return strings.Contains(strings.Join(s.Problems, " "), lan.ErrFull.Error()) })
	_ = a.end(syscall.SIGKILL)
	if out, err := b.lan(t, "forget", network, "a"); err == nil || !strings.Contains(out, "so it may run") {
		t.Errorf("forget without --force: %v\n%s", err, out)
	}
	if out, err := b.lan(t, "forget", network, "nobody"); err == nil || !strings.Contains(out, "has no host nobody") {
		t.Errorf("forget of an unknown host: %v\n%s", err, out)
	}
	if out, err := b.lan(t, "forget", network, "a", "--force"); err != nil || out != "lan: forgot a, released 1 blocks" {
		t.Errorf("forget: %v\n%s", err, out)
	}
	_ = b.end(syscall.SIGTERM)
	b.start(t)
	b.awaitStatus(t, "has the block", isReady)
}

// TestRefused: what cannot work is refused before anything is changed, with the remedy.
func TestRefused(t *testing.T) {
	s := newSite(t, 2)
	a, b := s.hosts[0], s.hosts[1]
	s.initialize(t, "--subnet", "192.0.2.0/24", "--pool", "192.0.2.128/25")
	a.write(t, "/etc/cni/net.d/other.conflist", `{"cniVersion": "1.0.0", "name": "lan", "plugins": [{"type": "patchbay"}]}`)
	for want, args := range map[string][]string{
		"initialized with other values":               {"init", network, "--subnet", "192.0.2.0/25"},
		"--subnet is missing":                         {"init", network},
		"invalid configuration of the network":        {"init", network, "--subnet", "192.0.2.1/24"},
		"is not initialized; run patchbay-lan init x": {"ls", "x"},
		"other.conflist configures a network lan":     {"run", network},
		"--forget-after: use at least 10s":            {"run", network, "--forget-after", "1s"},
		"node name":                                   {"run", network, "--node", "a/b"},
		`network "a/b"`:                               {"run", "a/b"},
		"usage: patchbay-lan forget NETWORK NODE":     {"forget", network},
		"unknown flag --nod":                          {"run", network, "--nod", "a"},
		"--cert and --key belong together":            {"ls", network, "--cert", "x"},
		"--template /etc/hostname: invalid template":  {"run", network, "--template", "/etc/hostname"},
		"unknown command \"list\"; see patchbay-lan":  {"list", network},
	} {
		if out, err := a.lan(t, args...); err == nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v, want %q\n%s", args, err, want, out)
		}
	}
	b.start(t, "--node", "a")
	b.awaitStatus(t, "is ready", isReady)
	if out, err := b.lan(t, "run", network); err == nil || !strings.Contains(out, "runs already") {
		t.Errorf("a second program: %v\n%s", err, out)
	}
	a.write(t, "/etc/cni/net.d/other.conflist", "{}")
	a.start(t)
	a.awaitStatus(t, "is refused the name of b", func(s lan.Status) bool {
		return strings.Contains(strings.Join(s.Problems, " "), "another host has the name a")
	})
	if a.read(conflist) != "" {
		t.Error("a has a network configuration")
	}
}

// listed returns the blocks of a host in etcd.
func (m *machine) listed(t testing.TB, node string) (blocks []netip.Prefix) {
	t.Helper()
	out, err := m.lan(t, "ls", network, "-o", "json")
	if err != nil {
		t.Fatalf("ls: %v\n%s", err, out)
	}
	var l struct {
		Nodes []struct {
			Node   string
			Blocks []struct{ Block netip.Prefix }
		}
	}
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, n := range l.Nodes {
		for _, b := range n.Blocks {
			if n.Node == node {
				blocks = append(blocks, b.Block)
			}
		}
	}
	return blocks
}
