package lan

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Where the files of a network NETWORK are.
const (
	// Dir has the status, NETWORK.json, and the file NETWORK.lock, which the program that keeps the blocks of the host has locked
	// (flock(2)). Names of networks cannot begin with a dot, so that it is none of a network.
	Dir = "/run/patchbay/.lan"
	// ConflistSuffix follows NETWORK in the name of the network configuration.
	ConflistSuffix = ".patchbay-lan.conflist"
)

// The values of Status.State.
const (
	Ready   = "ready"   // the network configuration exists
	Waiting = "waiting" // it does not
)

// StatusFormat is the version of the form of a Status. Fields may be added within one, but not renamed or removed.
const StatusFormat = 1

// ErrStatusFormat is a status of another version, written by a program of another release.
var ErrStatusFormat = errors.New("unknown format")

// Status is the content of the status file of a network.
type Status struct {
	Format    int           `json:"format"` // StatusFormat
	Network   string        `json:"network"`
	Node      string        `json:"node"`
	State     string        `json:"state"`              // Ready or Waiting
	Subnet    string        `json:"subnet,omitempty"`   // not known before etcd has answered
	Confirmed time.Time     `json:"confirmed,omitzero"` // when etcd last confirmed the blocks
	FencedAt  time.Time     `json:"fencedAt,omitzero"`  // when the network configuration is removed, if etcd does not answer until then
	Free      int           `json:"free"`               // addresses
	Blocks    []BlockStatus `json:"blocks"`             // in order
	Problems  []string      `json:"problems"`           // each with its remedy, if there is one
}

// BlockStatus is a block of this host.
type BlockStatus struct {
	Block string `json:"block"`
	Phase string `json:"phase"` // active, probing, draining, deleting, quarantine
	Used  int    `json:"used"`  // addresses
}

// Phases returns the values of BlockStatus.Phase.
func Phases() []string { return []string{"probing", "active", "draining", "deleting", "quarantine"} }

// ReadStatus reads the content of a status file. Errors wrap ErrStatusFormat, or are about what is no JSON.
func ReadStatus(text []byte) (s Status, err error) {
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return Status{}, err
	}
	if version.Format != StatusFormat {
		return Status{}, fmt.Errorf("%w %d, and this program reads %d: use patchbay and patchbay-lan of one release", ErrStatusFormat, version.Format, StatusFormat)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return Status{}, err
	}
	return s, nil
}

// String returns the name of a phase.
func (p phase) String() string {
	return Phases()[p]
}

// Status returns the state of the host.
func (r *Runner) Status() Status {
	s := Status{Format: StatusFormat, Network: r.Network, Node: r.Self.Node, State: Waiting, Blocks: []BlockStatus{}, Problems: r.problems()}
	if r.node == nil {
		return s
	}
	n := r.node
	s.Subnet, s.Free = n.config.Subnet.String(), r.free
	if n.isConfirmed {
		s.Confirmed = r.date
		s.FencedAt = s.Confirmed.Add(n.ttl / fenceParts)
	}
	if r.isWritten {
		s.State = Ready
	}
	count := n.count(r.used)
	for _, p := range n.sorted() {
		s.Blocks = append(s.Blocks, BlockStatus{p.String(), n.blocks[p].phase.String(), count[p]})
	}
	return s
}

// problems returns what an administrator has to know, in order.
func (r *Runner) problems() []string {
	all := []string{}
	for _, subject := range slices.Sorted(maps.Keys(r.failures)) {
		all = append(all, r.failures[subject])
	}
	for _, fault := range r.snapshot.Faults {
		all = append(all, fault+"; delete it with etcdctl if no host uses it")
	}
	if r.node == nil {
		return all
	}
	for _, p := range slices.SortedFunc(maps.Keys(r.node.lost), netip.Prefix.Compare) {
		all = append(all, r.lostProblem(p))
	}
	inQuarantine := 0
	for _, p := range r.node.sorted() {
		if b := r.node.blocks[p]; b.phase == quarantine {
			inQuarantine++
			all = append(all, quarantineProblem(p, b.answers))
		}
	}
	if inQuarantine >= maxQuarantine {
		all = append(all, fmt.Sprintf("%d blocks are in quarantine, and no more is claimed: a host of the LAN may answer for every address (proxy_arp)", inQuarantine))
	}
	if len(r.node.blocks)-inQuarantine >= MaxBlocks && r.free < lowWater {
		all = append(all, fmt.Sprintf("this host has %d blocks, which is the limit, and %d free addresses", MaxBlocks, r.free))
	}
	return all
}

func (r *Runner) lostProblem(p netip.Prefix) string {
	var addrs []string
	for _, addr := range r.used {
		if p.Contains(addr) {
			addrs = append(addrs, addr.String())
		}
	}
	owner := "no host"
	if o := r.node.lost[p]; o.Node != "" {
		owner = "the host " + o.Node
	}
	return fmt.Sprintf("block %s belongs to %s now, and containers of this host have %s: start these again", p, owner, someOf(addrs))
}

func quarantineProblem(p netip.Prefix, answers []Answer) string {
	var addrs []string
	for _, a := range answers {
		addrs = append(addrs, fmt.Sprintf("%s (%s)", a.Addr, a.MAC))
	}
	if len(addrs) == 0 {
		addrs = []string{"an address"}
	}
	return fmt.Sprintf("block %s is in quarantine: a host of the LAN has %s; remove it there, or exclude it from the network", p, someOf(addrs))
}

// someOf returns the first of several words.
func someOf(words []string) string {
	const most = 5
	if len(words) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
	}
	return strings.Join(words, ", ")
}
