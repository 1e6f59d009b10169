package agentstatus

import (
	"bytes"
	"cmp"
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
)

// Path is the file of the state, unless the agent was started with another --status.
const Path = "/run/patchbay-agent/status.json"

// Format is the version of both files.
const Format = 1

// Limits of what is written.
const (
	MaxPeers    = 5000 // in the file of peers
	MaxProblems = 1000 // in the state
	maxOwn      = 4    // problems of one peer
)

// Status is the state that the last pass of the agent found.
type Status struct {
	Format  int    `json:"format"`
	Node    string `json:"node"`
	Version string `json:"version"` // of the agent
	Mode    string `json:"mode"`    // of the configuration: how packets get to other nodes

	LastPass time.Time `json:"lastPass"`
	Interval int       `json:"intervalSeconds"` // between two passes, at most
	Passes   int       `json:"passes"`          // since the start
	PassMs   float64   `json:"passMs"`          // how long the last one has taken, but for writing this file

	InternalIPs []string `json:"internalIPs"`        // of this node, as its Node object has them
	PodCIDRs    []string `json:"podCIDRs"`           // of this node, those in use
	Bridge      string   `json:"bridge"`             // of the pods
	Conflist    string   `json:"conflist,omitempty"` // path, if the file is one that the agent has written

	Synced bool `json:"synced"` // a whole list of nodes was received since the start
	Nodes  int  `json:"nodes"`  // of the cluster, this one included
	Routes int  `json:"routes"` // of the plan, and of those of the overlay that stay without one
	Held   int  `json:"held"`   // routes without a node that stay until another list confirms it

	APIError string    `json:"apiError,omitempty"` // of the last request; "" if it succeeded
	APISince time.Time `json:"apiSince,omitzero"`  // since when requests fail

	Problems     []Problem                `json:"problems"`               // at most MaxProblems
	MoreProblems int                      `json:"moreProblems,omitempty"` // that are not in the list
	ProblemKinds map[nodeproblem.Kind]int `json:"problemKinds"`           // how many of each kind, also of those that are not in the list
}

// Problem is something that keeps pods from reaching each other.
type Problem struct {
	Node string           `json:"node"` // its name; "" if the problem is not about one
	Kind nodeproblem.Kind `json:"kind"`
	Text string           `json:"text"` // what is the matter, and the remedy
}

// Subject returns the name of the node that the problem is about, "cluster" if it is about none.
func (p Problem) Subject() string { return cmp.Or(p.Node, "cluster") }

// Besides returns the problems that no peer has, in their order.
func Besides(problems []Problem, peers []Peer) (rest []Problem) {
	said := map[string]bool{}
	for i := range peers {
		for _, text := range peers[i].Problems {
			said[text] = true
		}
	}
	for _, p := range problems {
		if !said[p.Text] {
			rest = append(rest, p)
		}
	}
	return rest
}

// Peers are the other nodes of the cluster.
type Peers struct {
	Format  int    `json:"format"`
	Node    string `json:"node"`              // that has written the file
	Omitted int    `json:"omitted,omitempty"` // nodes that are not in the list
	Peers   []Peer `json:"peers"`             // by name, at most MaxPeers
}

// How packets of pods get to a node.
const (
	Direct  = "direct"  // its InternalIP is the gateway
	Overlay = "overlay" // through a VXLAN device
	None    = "none"    // there is no route
)

// Peer is another node.
type Peer struct {
	Name        string   `json:"name"`
	InternalIPs []string `json:"internalIPs"`
	PodCIDRs    []string `json:"podCIDRs"` // of its Node object
	Reached     string   `json:"reached"`  // Direct, Overlay or None
	Routes      []Route  `json:"routes"`   // that this node has to it
	Problems    []string `json:"problems,omitempty"`
}

// Route is a route to pods of a peer.
type Route struct {
	Dst string `json:"dst"`           // CIDR
	Via string `json:"via"`           // gateway
	Dev string `json:"dev,omitempty"` // the device of the overlay; "" for a direct route
}

// PeersPath returns the path of the peers beside a file of the state.
func PeersPath(status string) string { return filepath.Join(filepath.Dir(status), "peers.json") }

// ReadyPath returns the path of the ready file beside a file of the state. The agent creates it after its first full pass; it has no content, and
// is gone after a reboot, as /run is.
func ReadyPath(status string) string { return filepath.Join(filepath.Dir(status), "ready") }

// Kinds returns how many problems there are of each kind. Those of a kind that this program does not know, and those that the state does not
// say the kind of, are Other; all together are as many as Problems and MoreProblems.
func (s *Status) Kinds() map[nodeproblem.Kind]int {
	counts := map[nodeproblem.Kind]int{}
	rest := len(s.Problems) + s.MoreProblems
	for _, kind := range nodeproblem.Kinds() {
		counts[kind] = max(0, min(s.ProblemKinds[kind], rest))
		rest -= counts[kind]
	}
	counts[nodeproblem.Other] = rest
	return counts
}

// Encode returns the file of a state. It sets Format, counts the problems by kind, and those that it leaves out.
func (s Status) Encode() ([]byte, error) {
	s.Format = Format
	for _, list := range []*[]string{&s.InternalIPs, &s.PodCIDRs} {
		if *list == nil {
			*list = []string{}
		}
	}
	s.ProblemKinds = map[nodeproblem.Kind]int{}
	for _, p := range s.Problems {
		s.ProblemKinds[p.Kind]++
	}
	if len(s.Problems) > MaxProblems {
		s.MoreProblems = len(s.Problems) - MaxProblems
		s.Problems = s.Problems[:MaxProblems]
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(s)
	return text.Bytes(), err
}

// Encode returns the file of peers, a line for each. It sets Format, and leaves out peers above MaxPeers and problems above four of one peer.
func (p Peers) Encode() ([]byte, error) {
	all := p.Peers[:min(len(p.Peers), MaxPeers)]
	head := Peers{Format: Format, Node: p.Node, Omitted: len(p.Peers) - len(all), Peers: []Peer{}}
	text, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(bytes.TrimSuffix(text, []byte("]}")))
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	for i, one := range all {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
		one.Problems = one.Problems[:min(len(one.Problems), maxOwn)]
		if err := e.Encode(one); err != nil {
			return nil, err
		}
		out.Truncate(out.Len() - 1) // the end of the line
	}
	out.WriteString("\n]}\n")
	return out.Bytes(), nil
}
