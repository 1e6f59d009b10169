package main

import (
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
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
	p := &passing{agent: a, cluster: config, unreached: map[netip.Prefix]string{}}
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
	lastPass := regexp.MustCompile(`"lastPass": "[^"]*"`)
	for _, name := range []string{"status.json", "peers.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		text = lastPass.ReplaceAll(text, []byte(`"lastPass": "2026-11-30T12:00:00Z"`))
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
