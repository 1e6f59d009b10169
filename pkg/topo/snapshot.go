package topo

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/link"
)

// snapshot is everything that was read.
type snapshot struct {
	name, bootID  string
	host          *link.Survey
	namespaces    []*surveyed
	before, after []inventory.Entry // the records, before and after the kernel was read
	recordsKnown  bool              // false: a missing record is not a difference
	inventory     *inventory.Inventory
	rulesErrors   []string // why the ruleset could not be read
}

// view joins links, namespaces and records.
func (m *snapshot) view() *View {
	v := &View{
		Host:        Host{Name: m.name, Links: []link.SurveyLink{}, Routes: notNil(m.host.Routes), Forward4: m.host.Forward4, Forward6: m.host.Forward6},
		Bridges:     []Bridge{},
		Namespaces:  []Namespace{},
		Problems:    []Problem{},
		Attachments: m.attachments(),
	}
	for _, s := range m.namespaces {
		v.Namespaces = append(v.Namespaces, namespaceOf(s))
	}
	m.addLinks(v)
	for i := range v.Attachments {
		a := &v.Attachments[i]
		a.Problems = m.drift(a)
		for _, text := range a.Problems {
			v.Problems = append(v.Problems, Problem{About: about(a), Text: text})
		}
	}
	for _, e := range m.after {
		if e.Err != nil {
			v.Problems = append(v.Problems, Problem{About: e.Path, Text: e.Err.Error()})
		}
	}
	return v
}

// notNil returns an empty list for nil, which JSON would have as null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// about returns the name of an attachment for View.Problems.
func about(a *Attachment) string {
	if a.Network != "" {
		return a.Network + "/" + a.ContainerID + "/" + a.IfName
	}
	if a.HostLink != nil {
		return a.HostLink.Name
	}
	return a.IfName
}

func namespaceOf(s *surveyed) Namespace {
	n := Namespace{Name: s.name, Path: s.path, Links: []link.SurveyLink{}, Routes: []link.SurveyRoute{}}
	if s.err != nil {
		n.Error = s.err.Error()
		return n
	}
	n.Routes = notNil(s.survey.Routes)
	for _, l := range s.survey.Links {
		if !isLoopback(&l) {
			n.Links = append(n.Links, l)
		}
	}
	return n
}

// isLoopback goes by the name, which no other interface can have.
func isLoopback(l *link.SurveyLink) bool { return l.Name == "lo" }

// addLinks adds the host's interfaces: bridges with their ports, and those that the host communicates through.
func (m *snapshot) addLinks(v *View) {
	attached := map[int]bool{}
	for i := range v.Attachments {
		if l := v.Attachments[i].HostLink; l != nil {
			attached[l.Index] = true
		}
	}
	ports := map[int][]Port{}
	for _, l := range m.host.Links {
		switch {
		case l.Kind == "bridge" || attached[l.Index]:
		case l.Master != 0:
			ports[l.Master] = append(ports[l.Master], Port{SurveyLink: l, Uplink: l.Uplink()})
		case m.matters(&l):
			v.Host.Links = append(v.Host.Links, l)
		}
	}
	for _, l := range m.host.Links {
		if l.Kind == "bridge" {
			v.Bridges = append(v.Bridges, Bridge{SurveyLink: l, Ours: l.Alias == link.BridgeAlias, Ports: notNil(ports[l.Index])})
		}
	}
	slices.SortFunc(v.Bridges, func(a, b Bridge) int { return cmp.Compare(a.Name, b.Name) })
}

// matters reports whether the host itself communicates through an interface.
func (m *snapshot) matters(l *link.SurveyLink) bool {
	if isLoopback(l) {
		return false
	}
	return len(globals(l.Addresses)) > 0 || slices.ContainsFunc(m.host.Routes, func(r link.SurveyRoute) bool { return r.Link == l.Name })
}

// globals leaves out link-local IPv6 addresses, which every interface has.
func globals(addresses []link.SurveyAddress) []link.SurveyAddress {
	var kept []link.SurveyAddress
	for _, a := range addresses {
		if !a.Prefix.Addr().IsLinkLocalUnicast() || a.Prefix.Addr().Is4() {
			kept = append(kept, a)
		}
	}
	return kept
}

// narrow removes what Options do not select.
func (v *View) narrow(o Options) error {
	if o.Bridge != "" && !slices.ContainsFunc(v.Bridges, func(b Bridge) bool { return b.Name == o.Bridge }) {
		return fmt.Errorf("bridge %s: %w", o.Bridge, ErrNoBridge)
	}
	if o.Bridge == "" && o.Network == "" {
		return nil
	}
	v.Attachments = slices.DeleteFunc(v.Attachments, func(a Attachment) bool {
		return o.Bridge != "" && a.Bridge != o.Bridge || o.Network != "" && a.Network != o.Network
	})
	v.Bridges = slices.DeleteFunc(v.Bridges, func(b Bridge) bool {
		used := slices.ContainsFunc(v.Attachments, func(a Attachment) bool { return a.Bridge == b.Name })
		return o.Bridge != "" && b.Name != o.Bridge || o.Network != "" && !used
	})
	v.Namespaces = slices.DeleteFunc(v.Namespaces, func(n Namespace) bool {
		return !slices.ContainsFunc(v.Attachments, func(a Attachment) bool { return a.Netns == n.Path })
	})
	v.Problems = slices.DeleteFunc(v.Problems, func(p Problem) bool {
		return !slices.ContainsFunc(v.Attachments, func(a Attachment) bool { return about(&a) == p.About })
	})
	return nil
}
