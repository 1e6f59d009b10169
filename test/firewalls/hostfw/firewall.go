package hostfw

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Firewall is a firewall on a host.
type Firewall struct {
	h           *nettest.Node
	environment *environment // nil if the firewall has rules only, and no programs
}

// Kind is a kind of firewall.
type Kind struct {
	Name  string
	Start func(t testing.TB, h *nettest.Node) *Firewall
	IPv6  bool // it also drops forwarded IPv6; Docker 20.10 does not
}

// Kinds returns all kinds.
func Kinds() []Kind {
	docker := func(t testing.TB, h *nettest.Node) *Firewall { return StartDocker(t, h).Firewall }
	return []Kind{
		{"docker", docker, false},
		{"ufw", StartUFW, true},
		{"firewalld", StartFirewalld, true},
		{"policy drop", StartPolicyDrop, true},
		{"legacy iptables", StartLegacy, true},
	}
}

// Shell runs a line of shell with the firewall's programs in PATH, as an administrator would, and returns its standard output. If it fails, the test
// fails with both outputs.
func (f *Firewall) Shell(t testing.TB, line string) string {
	t.Helper()
	if f.environment == nil {
		return f.h.Run(t, "sh", "-ec", line)
	}
	return f.environment.run(t, line)
}

// StartPolicyDrop creates a hand-written table that drops forwarded packets of both families.
func StartPolicyDrop(t testing.TB, h *nettest.Node) *Firewall {
	t.Helper()
	nettest.Need(t, nettest.NFTables, nettest.Tool("nft"))
	cmd := h.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader("table inet filter {\n chain forward {\n type filter hook forward priority 0; policy drop;\n }\n}\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("create a table that drops: %v\n%s", err, out)
	}
	h.Baseline()
	return &Firewall{h: h}
}

// StartLegacy sets the FORWARD policy of legacy iptables to DROP for both families. nft does not list these rules.
func StartLegacy(t testing.TB, h *nettest.Node) *Firewall {
	t.Helper()
	nettest.Need(t, nettest.Tool("iptables-legacy"))
	for _, program := range []string{"iptables-legacy", "ip6tables-legacy"} {
		h.Run(t, program, "-P", "FORWARD", "DROP")
	}
	h.Baseline()
	return &Firewall{h: h}
}
