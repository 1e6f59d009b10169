package cluster

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// setAddress replaces the addresses of a host behind the router and of its Node object.
func (r *routed) setAddress(t *testing.T, n *node, four, six string) {
	t.Helper()
	for i, addr := range []string{four, six} {
		length := []string{"/24", "/64"}[i]
		n.Run(t, "ip", "address", "del", n.object.addresses[i]+length, "dev", "eth0")
		n.AddAddress("eth0", addr+length)
	}
	n.Run(t, "ip", "route", "replace", "default", "via", "203.0.113.1")
	n.object.addresses = []string{four, six}
	r.api.setAddresses(n.object)
}

// TestAddressReplaced: a host gets another address in place of the one from which its agent is connected to the API server, and then the first one
// again. The health check of the connection is off.
//
// Claim: If the address of a node is replaced, also on its host, all nodes follow within five seconds
func TestAddressReplaced(t *testing.T) {
	t.Parallel()
	r := newRouted(t, "auto")
	r.far.env = []string{"HTTP2_READ_IDLE_TIMEOUT_SECONDS=0"}
	old := r.far.object.addresses
	r.startAgents()
	r.awaitAuto()
	mesh(t, r.pods)
	for _, moved := range [][]string{{"203.0.113.77", "2001:db8:0:3::77"}, old} {
		began := time.Now()
		r.setAddress(t, r.far, moved[0], moved[1])
		r.awaitMoved(t, device, moved[0], began)
	}
}

// connectionPort returns the port of the host from which the agent is connected to the API server.
func (n *node) connectionPort() (port uint64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", n.agent.Process.Pid))
	if err != nil {
		return 0, err
	}
	const server, established = ":192B", "01" // port 6443
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if strings.HasSuffix(f[2], server) && f[3] == established {
			_, local, _ := strings.Cut(f[1], ":")
			return strconv.ParseUint(local, 16, 16)
		}
	}
	return 0, fmt.Errorf("no connection in\n%s", text)
}

// TestSilentLoss: nothing arrives any more on the connection to the API server, as after a firewall has lost its state: the agent connects again,
// and knows what has changed.
//
// Claim: A connection to the API server on which nothing arrives is given up after 15 s
func TestSilentLoss(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.NFTables, nettest.Tool("nft"))
	p := newPair(t)
	n := p.first
	port, err := n.connectionPort()
	if err != nil {
		t.Fatal(err)
	}
	n.Run(t, "nft", fmt.Sprintf("add table inet loss; add chain inet loss input { type filter hook input priority 0; }; add rule inet loss input tcp dport %d drop", port))
	began := time.Now()
	o := other(101)
	p.api.create(o)
	n.awaitRoutes(p.routesWith(o)...)
	t.Logf("connected again after %s", time.Since(began).Round(time.Millisecond))
	if d := time.Since(began); d < time.Second || d > 40*time.Second { // those of client-go are 45 s
		t.Errorf("the new node has its routes after %s", d)
	}
	n.Run(t, "nft", "delete table inet loss")
}
