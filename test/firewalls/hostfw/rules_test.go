package hostfw

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestRulesets: each firewall has the rules by which doctor recognizes it.
func TestRulesets(t *testing.T) {
	want := map[string]struct {
		nft, iptables, without string
	}{
		"docker":          {"type filter hook forward priority filter; policy drop;", "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n", "ip6"},
		"ufw":             {"chain ufw6-user-forward {", "-P FORWARD DROP\n-A FORWARD -j ufw-before-logging-forward\n", ""},
		"firewalld":       {"type filter hook forward priority filter + 10; policy accept;", "-P FORWARD ACCEPT\n", "table ip "},
		"policy drop":     {"type filter hook forward priority filter; policy drop;", "-P FORWARD ACCEPT\n", "table ip"},
		"legacy iptables": {"", "-P FORWARD ACCEPT\n", "table"},
	}
	for _, kind := range Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			f := kind.Start(t, h)
			tables, forward := h.Run(t, "nft", "list", "ruleset"), h.Run(t, "iptables", "-S", "FORWARD")
			t.Logf("iptables -S FORWARD:\n%s\nnft list ruleset:\n%s", forward, tables)
			w := want[kind.Name]
			expect.Contains(t, tables, w.nft)
			expect.Contains(t, forward, w.iptables)
			if w.without != "" && strings.Contains(tables, w.without) {
				t.Errorf("there is %q", w.without)
			}
			if kind.Name == "legacy iptables" {
				expect.Equal(t, "iptables-legacy -S FORWARD", f.Shell(t, "iptables-legacy -S FORWARD"), "-P FORWARD DROP\n")
			}
		})
	}
}

// TestDockerRestart: rules of the administrator in DOCKER-USER survive a restart of dockerd, and no rule is duplicated.
func TestDockerRestart(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	d := StartDocker(t, h)
	const rule = "iptables -I DOCKER-USER -i cni0 -j ACCEPT -m comment --comment ours"
	before := d.Shell(t, rule+" && iptables -S && iptables -t nat -S")
	h.Baseline()
	pid := d.Shell(t, "cat "+d.daemon.file("pid"))
	d.Restart(t)
	if pid == d.Shell(t, "cat "+d.daemon.file("pid")) {
		t.Error("dockerd has not restarted")
	}
	expect.Equal(t, "rules after a restart", d.Shell(t, "iptables -S && iptables -t nat -S"), before)
	d.Shell(t, "iptables-save | iptables-restore --test")
}

// TestFirewalldAnswers: firewall-cmd finds its daemon; snapshots of the host contain the rules of a firewall, but not its processes.
func TestFirewalldAnswers(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	f := StartFirewalld(t, h)
	expect.Equal(t, "firewall-cmd", f.Shell(t, "firewall-cmd --permanent --zone=trusted --add-interface=cni0 && firewall-cmd --reload"), "success\nsuccess\n")
	rules := h.Run(t, "nft", "list", "chain", "inet", "firewalld", "filter_FORWARD_ZONES")
	expect.Contains(t, rules, `iifname "cni0" goto filter_FWD_trusted`)
	if leaks := strings.Join(h.Leaks(), "\n"); !strings.Contains(leaks, "cni0") || strings.Contains(leaks, "process") {
		t.Errorf("the snapshot has changed by\n%s\nwant rules only", leaks)
	}
	h.Baseline()
}
