package main

import (
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/cluster"
	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
)

// golden is where the tests of the commands of patchbay have the files of the agent from.
const golden = "../../pkg/agentstatus/testdata"

// sixNodes are a node and five others: one that is reached, one whose route another program has, one without a pod CIDR, one behind a router,
// and one with the pod CIDR of the first.
func sixNodes() []cluster.Node {
	var nodes []cluster.Node
	for i, name := range []string{"node-1", "node-2", "node-3", "node-4", "node-5", "node-6"} {
		o := cluster.Object{Name: name, UID: name, Created: time.Unix(int64(i), 0), InternalIPs: []string{"192.0.2.2" + name[5:], "2001:db8:0:1::2" + name[5:]}}
		switch name {
		case "node-4":
		case "node-6":
			o.PodCIDRs = []string{"10.244.2.0/24"}
		default:
			o.PodCIDRs = []string{"10.244." + name[5:] + ".0/24", "fd00:10:244:" + name[5:] + "::/64"}
		}
		nodes = append(nodes, o.Node())
	}
	return nodes
}

// TestFiles: the two files, as the commands of patchbay read them. The golden files are those of test/cli.
//
// Claim: The files that patchbay-agent writes are those which the tests of status, doctor, show and metrics read
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	config, err := cluster.ParseConfig([]byte(`{"clusterCIDRs": ["10.244.0.0/16", "fd00:10:244::/48"], "mode": "auto"}`))
	if err != nil {
		t.Fatal(err)
	}
	version = "0.1.0"
	a := &agent{options: options{node: "node-1", status: filepath.Join(dir, "status.json")}, log: slog.New(slog.NewTextHandler(io.Discard, nil)), passes: 6}
	p := &passing{agent: a, began: time.Now(), cluster: config, unreached: map[netip.Prefix]string{}}
	nodes := sixNodes()
	host := cluster.Host{Name: "node-1", MTU: 1500, Local: nodes[0].InternalIPs, Direct: map[netip.Addr]bool{}}
	for _, n := range nodes[1:4] {
		for _, addr := range n.InternalIPs {
			host.Direct[addr] = true
		}
	}
	plan := config.Plan(nodes, host)
	p.problems = append(p.problems, plan.Problems...)
	p.report(nodeproblem.RouteTaken, "another program has a route to 10.244.3.0/24 (protocol 4 of ip-route(8)): delete it, or leave that destination to it")
	p.unreached[netip.MustParsePrefix("10.244.3.0/24")] = p.problems[len(p.problems)-1].Text
	p.state.Synced, p.state.Nodes, p.state.Routes, p.state.Conflist = true, len(nodes), len(plan.Routes), "/etc/cni/net.d/10-patchbay.conflist"
	p.state.InternalIPs, p.state.PodCIDRs = texts(nodes[0].InternalIPs), texts(plan.PodCIDRs)
	p.writePeers(nodes, plan)
	if !p.finish() {
		t.Fatal("the files could not be written")
	}
	if !agentstatus.Held(a.options.status) {
		t.Error("the lock is not held")
	}
	a.lock.Release()
	lastPass, passMs := regexp.MustCompile(`"lastPass": "[^"]*"`), regexp.MustCompile(`"passMs": [0-9.]+`)
	for _, name := range []string{"status.json", "peers.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		text = lastPass.ReplaceAll(text, []byte(`"lastPass": "2026-11-30T12:00:00Z"`))
		text = passMs.ReplaceAll(text, []byte(`"passMs": 1.5`))
		path := filepath.Join(golden, name)
		if os.Getenv("PATCHBAY_UPDATE") != "" {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || string(text) != string(want) {
			t.Errorf("%s: %v; PATCHBAY_UPDATE=1 writes it\ngot %s\nwant %s", path, err, text, want)
		}
	}
}

// newPassing returns a pass of node-1 of a cluster of six, whose files are in a directory of its own.
func newPassing(t *testing.T, config *cluster.Config) *passing {
	t.Helper()
	dir := t.TempDir()
	o := options{node: "node-1", status: filepath.Join(dir, "status.json"), conflist: filepath.Join(dir, "10.conflist")}
	a := &agent{options: o, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	t.Cleanup(a.lock.Release)
	return &passing{agent: a, cluster: config, unreached: map[netip.Prefix]string{}}
}

// TestConflistWithoutPlan: without a list of nodes the status has the network configuration of an earlier start and its pod CIDRs, unless another
// program has written the file.
//
// Claim: patchbay-agent that starts while the API server is down still reports its network configuration and the pod CIDRs in it
func TestConflistWithoutPlan(t *testing.T) {
	config, err := cluster.ParseConfig([]byte(`{"clusterCIDRs": ["10.244.0.0/16", "fd00:10:244::/48"], "masqExclude": ["192.0.2.0/24"]}`))
	if err != nil {
		t.Fatal(err)
	}
	own := string(config.Plan(sixNodes(), cluster.Host{Name: "node-1", MTU: 1500}).Conflist)
	none, cidrs := []string{}, []string{"10.244.1.0/24", "fd00:10:244:1::/64"}
	for name, tt := range map[string]struct {
		text   string
		synced bool
		is     bool
		cidrs  []string
	}{
		"of an earlier start":           {own, false, true, cidrs},
		"with another MTU and one CIDR": {string(config.Plan([]cluster.Node{sixNodes()[5]}, cluster.Host{Name: "node-6", MTU: 1400}).Conflist), false, true, []string{"10.244.2.0/24"}},
		"the Node object is gone":       {own, true, true, none},
		"edited":                        {strings.Replace(own, "192.0.2.0/24", "192.0.3.0/24", 1), false, false, none},
		"torn":                          {own[:len(own)/2], false, false, none},
		"without plugins":               {"{}", false, false, none},
		"missing":                       {"", false, false, none},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPassing(t, config)
			p.state.Synced = tt.synced
			if tt.text != "" {
				if err := os.WriteFile(p.options.conflist, []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if !p.finish() {
				t.Fatal("the status could not be written")
			}
			s, err := agentstatus.Read(p.options.status)
			if err != nil {
				t.Fatal(err)
			}
			if s.Conflist != "" != tt.is || tt.is && s.Conflist != p.options.conflist || !slices.Equal(s.PodCIDRs, tt.cidrs) {
				t.Errorf("conflist %q, podCIDRs %q", s.Conflist, s.PodCIDRs)
			}
		})
	}
}

// TestKeptOverlay: nodes are reached by the routes through an overlay that stays as it is, although the plan does not have them: because no
// interface has the InternalIP of the node, or because the device could not be made anew.
//
// Claim: While the overlay stays as it is, peers.json has its routes, and the nodes that they lead to as reached
func TestKeptOverlay(t *testing.T) {
	config, err := cluster.ParseConfig([]byte(`{"clusterCIDRs": ["10.244.0.0/16", "fd00:10:244::/48"], "mode": "vxlan"}`))
	if err != nil {
		t.Fatal(err)
	}
	nodes := sixNodes()
	host := cluster.Host{Name: "node-1", MTU: 1500, Local: nodes[0].InternalIPs}
	whole := config.Plan(nodes, host)
	host.Local = nil
	without := config.Plan(nodes, host)
	if !without.KeepOverlay || len(without.Routes) > 0 || len(whole.Routes) != 6 {
		t.Fatalf("plans %+v, %+v", whole, without)
	}
	for name, plan := range map[string]cluster.Plan{"no interface has the InternalIP": without, "no device": whole} {
		t.Run(name, func(t *testing.T) {
			p := newPassing(t, config)
			p.broken = map[string]bool{cluster.Overlay4: true}
			changes := cluster.Compare(p.possible(plan.Routes), whole.Routes[:3])
			p.kept = changes.KeepOverlay()
			if got := countRoutes(p.kept); got != 3 || len(changes.Gone) > 0 {
				t.Errorf("%d routes are kept, gone are %v", got, changes.Gone)
			}
			for _, peer := range p.peersOf(nodes, plan).Peers {
				want := map[string]int{"node-2": 1, "node-3": 1, "node-5": 1}[peer.Name] // routes sorted by destination: those of IPv4
				if len(peer.Routes) != want || (peer.Reached == agentstatus.Overlay) != (want > 0) || (peer.Reached == agentstatus.None) != (want == 0) {
					t.Errorf("%+v", peer)
				}
			}
		})
	}
}

// TestPeersUnchanged: a file that is the same is not written again, so that its inode stays.
func TestPeersUnchanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.json")
	for i, want := range []bool{true, false} {
		written, err := writeFile(path, make([]byte, 3<<20)) // more than the limit of package safefile for other files
		if err != nil || written != want {
			t.Errorf("write %d: %t, %v", i+1, written, err)
		}
	}
}
