package hostfw

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Firewall is one that runs on a host.
type Firewall struct {
	h    *nettest.Node
	room *room // nil where the rules are all there is: then nothing runs
}

// Kind is a firewall that a test can start.
type Kind struct {
	Name  string
	Start func(t testing.TB, h *nettest.Node) *Firewall
	IPv6  bool // it drops forwarded IPv6 as well; Docker 20.10 does not
}

// Kinds returns all of them, for tests with a row for each.
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

// Shell runs a line of shell as the host's administrator would, with the firewall's own programs in PATH, and returns its standard
// output. The test ends, with both outputs shown, when it fails.
func (f *Firewall) Shell(t testing.TB, line string) string {
	t.Helper()
	if f.room == nil {
		return f.h.Run(t, "sh", "-ec", line)
	}
	return f.room.run(t, line)
}

// StartPolicyDrop makes the table that people write by hand: what is forwarded is dropped, by both protocols. Nothing runs.
func StartPolicyDrop(t testing.TB, h *nettest.Node) *Firewall {
	t.Helper()
	nettest.Need(t, nettest.NFTables, nettest.Tool("nft"))
	cmd := h.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader("table inet filter {\n chain forward {\n type filter hook forward priority 0; policy drop;\n }\n}\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make a table that drops: %v\n%s", err, out)
	}
	h.Baseline()
	return &Firewall{h: h}
}

// StartLegacy sets the policy of legacy iptables to DROP for what is forwarded, by both protocols: rules that nft does not list.
// Nothing runs.
func StartLegacy(t testing.TB, h *nettest.Node) *Firewall {
	t.Helper()
	nettest.Need(t, nettest.Tool("iptables-legacy"))
	for _, program := range []string{"iptables-legacy", "ip6tables-legacy"} {
		h.Run(t, program, "-P", "FORWARD", "DROP")
	}
	h.Baseline()
	return &Firewall{h: h}
}
