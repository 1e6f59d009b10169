package pictures

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/diagram"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// agentFiles has the files that patchbay-agent writes: TestFiles of its module compares them with what it writes.
const agentFiles = "../../../pkg/agentstatus/testdata"

// written returns the state and the peers that patchbay-agent writes.
func written(t *testing.T) (*agentstatus.Status, *agentstatus.Peers) {
	t.Helper()
	s, err := agentstatus.Read(filepath.Join(agentFiles, "status.json"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := agentstatus.ReadPeers(filepath.Join(agentFiles, "peers.json"))
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

// withAgent writes the files of patchbay-agent on the host; the end of the test takes them away.
func (s *scene) withAgent(state *agentstatus.Status, peers *agentstatus.Peers) {
	s.t.Helper()
	status, err := state.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	others, err := peers.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	s.agentWrites(string(status), string(others))
}

func (s *scene) agentWrites(status, peers string) {
	s.t.Helper()
	dir := filepath.Dir(agentstatus.Path)
	s.Do(func() {
		for path, text := range map[string]string{agentstatus.Path: status, agentstatus.PeersPath(agentstatus.Path): peers} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				s.t.Error(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				s.t.Error(err)
			}
		}
	})
	s.t.Cleanup(func() { s.Do(func() { _ = os.RemoveAll(dir) }) })
}

// agentRuns takes the lock of an agent on the host, until the end of the test.
func (s *scene) agentRuns() {
	s.t.Helper()
	lock := agentstatus.Lock{}
	s.Do(func() {
		if err := lock.Hold(agentstatus.Path); err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(lock.Release)
}

// thousand returns a thousand nodes, each fourth behind a router, and one without a route.
func thousand(t *testing.T) (*agentstatus.Status, *agentstatus.Peers) {
	t.Helper()
	s, p := written(t)
	s.Nodes, s.Routes, s.Problems, p.Peers = 1001, 999, nil, nil
	for i := range 1000 {
		n := agentstatus.Peer{
			Name: fmt.Sprintf("node-%04d", i), InternalIPs: []string{fmt.Sprintf("192.0.%d.%d", i/250, i%250+1)},
			PodCIDRs: []string{fmt.Sprintf("10.%d.%d.0/24", i/250, i%250)}, Reached: agentstatus.Direct,
		}
		n.Routes = []agentstatus.Route{{Dst: n.PodCIDRs[0], Via: n.InternalIPs[0]}}
		if i%4 == 0 {
			n.Reached, n.Routes[0].Dev = agentstatus.Overlay, "patchbay.vx"
		}
		if i == 501 {
			n.Reached, n.Routes, n.Problems = agentstatus.None, nil, []string{"no route: add one"}
		}
		p.Peers = append(p.Peers, n)
	}
	return s, p
}

// TestCluster: each format has every other node, its pod CIDRs, how it is reached, and why it is not.
//
// Claim: `show --cluster` draws the other nodes of a cluster, their pod CIDRs, and whether each is reached directly, by the overlay or not at
// all, in every format of `show`
func TestCluster(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.run("show", "--cluster")
	expect.Equal(t, "exit without an agent", a.exit, 1)
	expect.Contains(t, a.stderr, "there is no /run/patchbay-agent/status.json: start patchbay-agent")
	state, peers := written(t)
	s.withAgent(state, peers)
	age := regexp.MustCompile(`last pass \S+ ago`)
	text := age.ReplaceAllString(s.show("--cluster", "--width", "100"), "last pass 5s ago")
	golden(t, "../test/cli/pictures/testdata/cluster-stopped.txt", text)
	expect.Contains(t, s.show("--cluster", "-o", "svg"), "does not run (no process has the lock", "as of 2026-11-30T12:00:00Z")
	expect.Contains(t, s.show("--cluster", "-o", "json"), `"activity": "stopped"`, `"asOf": "2026-11-30T12:00:00Z"`, `"api": "unknown"`)
	state.LastPass = time.Now()
	s.withAgent(state, peers)
	s.agentRuns()
	golden(t, "../test/cli/pictures/testdata/cluster.txt", age.ReplaceAllString(s.show("--cluster", "--width", "100"), "last pass 5s ago"))
	picture := s.show("--cluster", "-o", "svg")
	golden(t, "pictures/cluster.svg", picture)
	s.inBrowser(picture, "svg")
	s.inBrowser(s.show("--cluster", "-o", "html"), "html")
	s.graphs(diagram.OfCluster(state, peers))
	var got struct {
		Node  struct{ Node, Activity string }
		Peers []agentstatus.Peer
	}
	if err := json.Unmarshal([]byte(s.show("--cluster", "-o", "json")), &got); err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "peers", got.Peers, peers.Peers)
	expect.Equal(t, "activity", got.Node.Activity, string(agentstatus.Running))
	for _, option := range []string{"--watch", "--bridge=cni0", "--network=net"} {
		a := s.run("show", "--cluster", option)
		expect.Equal(t, "exit with "+option, a.exit, 1)
		expect.Contains(t, a.stderr, "--cluster cannot be used with --bridge, --network or --watch")
	}
}

// inBrowser has a browser measure the boxes of a picture, and load nothing.
func (s *scene) inBrowser(text, format string) {
	s.t.Helper()
	b := browse(s.t, keep(s.t, "picture."+format, text))
	var got measured
	b.eval(misplaced, &got)
	if got.Boxes < 3 || len(got.Wrong) > 0 {
		s.t.Errorf("%s: %d boxes; misplaced: %q", format, got.Boxes, got.Wrong)
	}
	expect.Equal(s.t, "complaints of the browser", b.complaints(), nil)
	expect.Equal(s.t, "requests", len(b.requests()), 1)
}

// graphs has dot and Mermaid read the graphs.
func (s *scene) graphs(d *diagram.Diagram) {
	s.t.Helper()
	nodes, edges := plain(s.t, s.show("--cluster", "-o", "dot"))
	wantNodes, wantEdges := wanted(d)
	expect.Equal(s.t, "nodes of dot", nodes, wantNodes)
	expect.Equal(s.t, "edges of dot", edges, wantEdges)
	checkMermaid(s.t, s.show("--cluster", "-o", "mermaid"), d)
}

// TestCluster1000: a thousand nodes are in columns: in the text 4 at 100 columns, in the picture so that it is wider than high.
//
// Claim: `show --cluster` prints a thousand nodes in columns, with those that have problems below
func TestCluster1000(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	state, peers := thousand(t)
	s.withAgent(state, peers)
	text := s.show("--cluster", "--width", "100")
	expect.Contains(t, text, "of the node: 749 nodes\n", "VXLAN device: 250 nodes\n", "there is no route: 1 node\n", "  node-0501 !  -  pods 10.2.1.0/24\n",
		"\n! node-0501: no route: add one\n")
	lines := strings.Split(text, "\n")
	if len(lines) > 300 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if len(line) > 100 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
	picture := s.show("--cluster", "-o", "svg")
	expect.Contains(t, picture, "to 749 nodes", "to 250 nodes", "node-0999", "no route: add one")
	s.show("--cluster", "-o", "html")
	peers.Peers = peers.Peers[420:540] // a browser takes minutes to compare all boxes of a thousand nodes
	s.withAgent(state, peers)
	s.inBrowser(s.show("--cluster", "-o", "svg"), "svg")
}

// TestClusterHostile: names of nodes are text in each format, and a file that cannot be read is one sentence.
//
// Claim: Whatever the files of patchbay-agent have, `show --cluster` prints it as text, or one sentence on stderr
func TestClusterHostile(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	state, peers := written(t)
	for i := range peers.Peers {
		p := &peers.Peers[i]
		p.Name = fmt.Sprintf("\x1b[2J\"]%%%%{<script>\\N&amp;`|\n%d", i)
		p.PodCIDRs, p.InternalIPs, p.Problems = append(p.PodCIDRs, "<b>\x07"), append(p.InternalIPs, "--> x"), []string{"\u202e\"; } end"}
		if i == 0 {
			p.Reached, p.Routes = "teleport", append(p.Routes, agentstatus.Route{Dst: "\x00", Via: "'", Dev: "\""})
		}
	}
	state.Node, state.Mode, state.APIError = "\x1b]0;x\x07", "]]>", "\n\nx"
	s.withAgent(state, peers)
	for _, format := range []string{"text", "json", "svg", "html", "dot", "mermaid"} {
		if out := s.show("--cluster", "-o", format); strings.ContainsAny(out, "\x00\x07\x1b\u202e") || (format == "svg" || format == "html") && strings.Contains(out, "<script>\\") {
			t.Errorf("%s: %q", format, out)
		}
	}
	s.graphs(diagram.OfCluster(state, peers))
	s.inBrowser(s.show("--cluster", "-o", "html"), "html")
	for says, text := range map[string]string{"cannot be read": `{"format": 1, "peers": [`, "unknown format 9": `{"format": 9}`, "too large": strings.Repeat(" ", agentstatus.MaxPeersBytes+1)} {
		s.agentWrites(`{"format": 1}`, text)
		a := s.run("show", "--cluster")
		if a.exit != 1 || a.stdout != "" || strings.Count(a.stderr, "\n") != 1 || !strings.Contains(a.stderr, says) {
			t.Errorf("exit %d\n%s%s", a.exit, a.stdout, a.stderr)
		}
	}
	s.agentWrites(`{"format": 1}`, `{"format": 1}`)
	expect.Contains(t, s.show("--cluster"), "node -  -  pods -\n")
}
