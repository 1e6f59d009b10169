package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Finding is one thing that is wrong.
type Finding struct {
	About string   `json:"about"` // which look found it, a word: forwarding, firewall, ports...
	Says  string   `json:"says"`  // what is wrong, and whom it hurts: one sentence
	Seen  string   `json:"seen"`  // the evidence
	Maybe bool     `json:"maybe"` // it depends on what was not understood, or on addresses and ports
	Fix   []string `json:"fix"`   // what mends it, lines for a shell; a line that begins with # is for a person
}

// Host is what is examined.
type Host struct {
	StateDir string // where the records are; the other ones that are known there are looked at too
}

// Report is what an examination came to.
type Report struct {
	Networks    int       `json:"networks"`    // with a living attachment
	Attachments int       `json:"attachments"` // living
	Looked      []string  `json:"looked"`      // at what, in order, without an error: words of Finding.About
	Findings    []Finding `json:"findings"`
}

// Examine looks at the host that the process is in. It goes on past errors, each of which says what
// could not be looked at; the report has the rest.
func Examine(h Host) (*Report, error) {
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	x := &examination{host: host}
	if x.living, err = attach.Living(h.StateDir); err != nil {
		return nil, err
	}
	if x.survey, err = link.SurveyHost(); err != nil {
		return nil, err
	}
	x.gather()
	report := &Report{Networks: x.networks(), Attachments: len(x.living), Looked: []string{}, Findings: []Finding{}} // lists also in JSON
	var failed error
	for _, look := range looks() {
		found, err := look.at(x)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("look at %s: %w", look.about, err))
		} else {
			report.Looked = append(report.Looked, look.about)
		}
		for _, f := range found {
			f.About = look.about
			report.Findings = append(report.Findings, f)
		}
	}
	return report, failed
}

// look is one thing that is looked at.
type look struct {
	about string
	at    func(*examination) ([]Finding, error)
}

// looks are in the order of how often they are the reason.
func looks() []look {
	return []look{
		{"forwarding", (*examination).forwarding},
		{"firewall", (*examination).firewall},
		{"cables", (*examination).cables},
		{"rules", (*examination).rules},
		{"ports", (*examination).ports},
		{"routes", (*examination).routes},
		{"br_netfilter", (*examination).brNetfilter},
		{"mtu", (*examination).mtu},
		{"room", (*examination).room},
	}
}

// examination is one Examine on its way.
type examination struct {
	host    *link.Host
	survey  *link.Survey
	living  []*store.Record
	bridges []*bridge
}

// bridge is one that living attachments are plugged into.
type bridge struct {
	name    string
	link    *link.SurveyLink // nil if it is gone
	records []*store.Record
}

// gather puts attachments to their bridges, in the order of the bridges' names.
func (x *examination) gather() {
	by := map[string]*bridge{}
	for _, r := range x.living {
		b := by[r.Bridge]
		if b == nil {
			b = &bridge{name: r.Bridge, link: x.linkNamed(r.Bridge)}
			by[r.Bridge] = b
			x.bridges = append(x.bridges, b)
		}
		b.records = append(b.records, r)
	}
	slices.SortFunc(x.bridges, func(a, b *bridge) int { return strings.Compare(a.name, b.name) })
}

func (x *examination) linkNamed(name string) *link.SurveyLink {
	for i := range x.survey.Links {
		if x.survey.Links[i].Name == name {
			return &x.survey.Links[i]
		}
	}
	return nil
}

func (x *examination) networks() int {
	seen := map[string]bool{}
	for _, r := range x.living {
		seen[r.Network] = true
	}
	return len(seen)
}

// routed reports whether containers of a bridge have the host as their router, for a family.
func (b *bridge) routed(is4 bool) bool {
	return slices.ContainsFunc(b.records, func(r *store.Record) bool { return (r.Gateway || r.Publish != nil) && has(r, is4) })
}

func has(r *store.Record, is4 bool) bool {
	return slices.ContainsFunc(r.Addresses, func(a store.Address) bool { return a.Address.Addr().Is4() == is4 })
}

// called is what people call an attachment: the pod, else the container by as much of its ID as a
// runtime's tools show, and the network.
func called(r *store.Record) string {
	const usual, shown = 64, 12 // characters
	name := r.ContainerID
	if len(name) == usual {
		name = name[:shown]
	}
	if r.Pod != nil && r.Pod.Name != "" {
		name = r.Pod.Namespace + "/" + r.Pod.Name
	}
	return name + " of network " + r.Network
}

func family(is4 bool) string {
	if is4 {
		return "IPv4"
	}
	return "IPv6"
}
