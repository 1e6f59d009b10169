package cluster

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// patchbay runs a command of patchbay on the host, and returns what it prints.
func (n *node) patchbay(args ...string) string {
	n.lab.t.Helper()
	cmd := n.Command(nettest.Patchbay(n.lab.t), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); cmd.ProcessState == nil {
		n.lab.t.Fatal(err)
	}
	return out.String()
}

// awaitOutput waits until a command prints all of these texts.
func (n *node) awaitOutput(command string, texts ...string) {
	n.lab.t.Helper()
	eventually(n.lab.t, command, func() error {
		out := n.patchbay(strings.Fields(command)...)
		for _, text := range texts {
			if !strings.Contains(out, text) {
				return fmt.Errorf("patchbay %s has no %q:\n%s", command, text, out)
			}
		}
		return nil
	})
}

// TestCommands: status, doctor, show and metrics say what a real agent knows: with all well, without the API server, and after its end.
//
// Claim: `status`, `doctor`, `show --cluster` and `metrics` say how a node reaches the others, that the API server does not answer, and that
// patchbay-agent has ended
func TestCommands(t *testing.T) {
	t.Parallel()
	r := newRouted(t, "auto")
	r.startAgents()
	n, counters := r.first, filepath.Join(t.TempDir(), "counters")
	n.awaitOutput("status", "cluster: node node-1, mode auto, 10.244.1.0/24 fd00:10:244:1::/64; 3 nodes, 4 routes\n", "agent: runs, last pass ", "API server answers\n")
	n.awaitOutput("show --cluster", "of the node: 1 node\n  node-2  via 192.0.2.22  pods 10.244.2.0/24 fd00:10:244:2::/64\n", "VXLAN device: 1 node\n  node-3  via 10.244.3.0  pods 10.244.3.0/24")
	n.awaitOutput("metrics --counters "+counters, "patchbay_agent_up 1\n", "patchbay_agent_api_up 1\n", "patchbay_agent_nodes 3\n", "patchbay_agent_routes 4\n", `patchbay_agent_problems{kind="noPodCIDR"} 0`+"\n")
	if out := n.patchbay("doctor"); strings.Contains(out, "patchbay-agent") || !strings.Contains(out, ", cluster") {
		t.Errorf("doctor: %s", out)
	}

	r.api.Stop() // the next pass, within a minute, writes it
	n.awaitOutput("status", "agent: runs, ", "API server does not answer since 20")
	n.awaitOutput("doctor", "the API server does not answer patchbay-agent: nodes that are new or have changed are not reached")
	n.stopAgent()
	n.awaitOutput("doctor", "patchbay-agent does not run, and nothing keeps 4 routes to other nodes and /etc/cni/net.d/10-patchbay.conflist up to date")
	n.awaitOutput("metrics --counters "+counters, "patchbay_agent_up 0\n")
	n.awaitOutput("status", "3 nodes, 4 routes as of 20", "; API server: unknown, the agent does not run\n")
	if out := n.patchbay("metrics", "--counters", counters); strings.Contains(out, "patchbay_agent_api_up") || strings.Contains(out, "patchbay_agent_problems") {
		t.Errorf("metrics of an agent that has ended: %s", out)
	}
}
