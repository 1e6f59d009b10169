package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/diagram"
	"github.com/patchbay-cni/patchbay/pkg/health"
)

// clusterView is a node, and the other nodes of its cluster.
type clusterView struct {
	Node    *health.Agent      `json:"node"`
	Peers   []agentstatus.Peer `json:"peers"`             // by name
	Omitted int                `json:"omitted,omitempty"` // nodes that are not in the list
}

// runCluster draws the nodes of the cluster, as patchbay-agent has written them.
func (f *showFlags) runCluster(out io.Writer, format string) error {
	if f.watch || f.Bridge != "" || f.network != "" {
		return errors.New("--cluster cannot be used with --bridge, --network or --watch")
	}
	s, err := agentstatus.Read(agentstatus.Path)
	if err != nil {
		return readable(err)
	}
	if s == nil {
		return fmt.Errorf("--cluster: there is no %s: start patchbay-agent on this node (docs/cluster.md)", agentstatus.Path)
	}
	peers, err := agentstatus.ReadPeers(agentstatus.PeersPath(agentstatus.Path))
	if err != nil {
		return readable(err)
	}
	if peers == nil { // no list of nodes was received yet
		peers = &agentstatus.Peers{Peers: []agentstatus.Peer{}}
	}
	v := &clusterView{Node: health.AgentOf(s, time.Now()), Peers: peers.Peers, Omitted: peers.Omitted}
	switch format {
	case "json":
		return printJSON(out, v)
	case "text":
		return f.printCluster(out, v)
	}
	if when := asOf(v.Node); when != "" {
		return drawing(format)(out, diagram.OfCluster(v.Node.Status, peers, activityText(v.Node), when))
	}
	return drawing(format)(out, diagram.OfCluster(v.Node.Status, peers))
}

// drawing returns what writes a format that is a picture or a graph.
func drawing(format string) func(io.Writer, *diagram.Diagram) error {
	switch format {
	case "mermaid":
		return diagram.Mermaid
	case "dot":
		return diagram.DOT
	case "svg":
		return diagram.SVG
	}
	return diagram.HTML
}
