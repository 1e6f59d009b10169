package main

import (
	"bytes"
	"encoding/json"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
)

// status is the file of --status: what the last pass found, for other programs.
type status struct {
	Node     string            `json:"node"`
	Version  string            `json:"version"`
	Synced   bool              `json:"synced"` // a whole list of nodes was received since the start
	Nodes    int               `json:"nodes"`
	Routes   int               `json:"routes"`             // of the plan
	Passes   int               `json:"passes"`             // since the start
	Held     int               `json:"held"`               // routes without a node that stay until another list confirms it
	PodCIDRs []string          `json:"podCIDRs"`           // of this node
	Conflist string            `json:"conflist,omitempty"` // path, if the file is that of the plan
	APIError string            `json:"apiError,omitempty"` // of the last request
	APISince string            `json:"apiSince,omitempty"` // RFC 3339
	Problems []cluster.Problem `json:"problems"`
}

// finish logs which problems are new and which are solved, and writes the status if it has changed. It returns false if something is to
// be tried again soon.
func (p *passing) finish() bool {
	now := make(map[cluster.Problem]bool, len(p.problems))
	logged := 0
	for _, problem := range p.problems {
		if !now[problem] && !p.reported[problem] {
			if logged++; logged <= detailed {
				p.log.Warn(problem.Text, "node", problem.Node)
			}
		}
		now[problem] = true
	}
	if logged > detailed {
		p.log.Warn("more problems: see the status", "all", logged, "status", p.options.status)
	}
	solved := 0
	for problem := range p.reported {
		if !now[problem] {
			if solved++; solved <= detailed {
				p.log.Info("no longer: "+problem.Text, "node", problem.Node)
			}
		}
	}
	p.agent.reported = now
	if err := p.writeStatus(); err != nil {
		p.failed = true
		p.log.Warn("write status", "error", err)
	}
	return !p.failed
}

// writeStatus writes the file.
func (p *passing) writeStatus() error {
	p.agent.passes++
	p.state.Passes = p.agent.passes
	p.state.Node, p.state.Version, p.state.Problems = p.options.node, version, p.problems
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(p.state); err != nil {
		return err
	}
	_, err := writeFile(p.options.status, text.Bytes())
	return err
}
