package topo

import (
	"cmp"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// attachments finds them from both sides: from the host's links, then from the records whose
// link is not there.
func (m *moment) attachments() []Attachment {
	byLink := map[string]*store.Record{} // those that should have a host link
	for _, e := range slices.Concat(m.before, m.after) {
		if e.Record != nil && e.Record.HostLink != "" {
			byLink[e.Record.HostLink] = e.Record
		}
	}
	found := []Attachment{}
	have := map[store.Key]bool{}
	for i := range m.host.Links {
		l := &m.host.Links[i]
		if a, ok := m.fromLink(l, byLink[l.Name]); ok {
			found = append(found, a)
			have[a.key()] = true
		}
	}
	slices.SortFunc(found, func(a, b Attachment) int { return cmp.Compare(a.HostLink.Index, b.HostLink.Index) })
	for _, e := range m.steady() {
		if e.Record != nil && !have[e.Key] {
			found = append(found, m.fromRecord(e.Record))
		}
	}
	return found
}

// steady are the records that were there before and after the look at the kernel: a record
// that came or went meanwhile has a link that came or went meanwhile.
func (m *moment) steady() []store.Entry {
	before := map[string]bool{}
	for _, e := range m.before {
		before[e.Path] = true
	}
	return slices.DeleteFunc(slices.Clone(m.after), func(e store.Entry) bool { return !before[e.Path] })
}

func (a *Attachment) key() store.Key {
	return store.Key{Network: a.Network, ContainerID: a.ContainerID, IfName: a.IfName}
}

// fromLink makes an attachment of a host link that has a record, our alias, or its other end
// in a namespace that was seen.
func (m *moment) fromLink(l *link.SurveyLink, r *store.Record) (Attachment, bool) {
	far, end := m.otherEnd(l)
	key, ours := parseAlias(l.Alias)
	if l.Kind == "bridge" || !ours && r == nil && far == nil {
		return Attachment{}, false
	}
	a := Attachment{HostLink: l, Ours: ours || r != nil, Record: r, Link: end}
	switch {
	case r != nil:
		key = r.Key()
	case !ours && end != nil:
		key.IfName = end.Name
	}
	a.Network, a.ContainerID, a.IfName = key.Network, key.ContainerID, key.IfName
	if master := m.host.Link(l.Master); master != nil {
		a.Bridge = master.Name
	}
	if far == nil && r != nil {
		far = m.at(r.Netns)
	}
	m.settle(&a, far)
	return a, true
}

func (m *moment) fromRecord(r *store.Record) Attachment {
	a := Attachment{
		Network: r.Network, ContainerID: r.ContainerID, IfName: r.IfName,
		Ours: true, Record: r, Bridge: r.Bridge,
	}
	m.settle(&a, m.at(r.Netns))
	return a
}

// settle fills in what follows from the namespace.
func (m *moment) settle(a *Attachment, far *seen) {
	a.Routes = []link.SurveyRoute{}
	if far == nil {
		return
	}
	a.Netns = far.path
	if far.err != nil {
		return
	}
	if a.Link == nil && a.HostLink == nil || a.Record != nil && a.Record.Role == store.RoleChained {
		a.Link = linkNamed(far.survey, a.IfName)
	}
	for _, route := range far.survey.Routes {
		if a.Link != nil && route.Link == a.Link.Name {
			a.Routes = append(a.Routes, route)
		}
	}
}

func linkNamed(s *link.Survey, name string) *link.SurveyLink {
	i := slices.IndexFunc(s.Links, func(l link.SurveyLink) bool { return l.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Links[i]
}

// otherEnd finds where a veth leads: each end knows the index of the other and, by number,
// the namespace it is in. A namespace that may not be entered still has its number.
func (m *moment) otherEnd(l *link.SurveyLink) (*seen, *link.SurveyLink) {
	if l.Kind != "veth" || l.PeerNetns < 0 {
		return nil, nil
	}
	for _, s := range m.namespaces {
		if s.survey == nil || s.survey.PeerID != l.PeerNetns {
			continue
		}
		if end := s.survey.Link(l.Peer); end == nil || end.Kind == "veth" && end.Peer == l.Index {
			return s, end
		}
	}
	return nil, nil
}

// at is the namespace that a path leads to, nil if none was looked at there.
func (m *moment) at(path string) *seen {
	i := slices.IndexFunc(m.namespaces, func(s *seen) bool { return slices.Contains(s.paths, path) })
	if i < 0 {
		return nil
	}
	return m.namespaces[i]
}

// parseAlias reads "patchbay:<12 hex> network/containerID/ifname" (design section 5), before which
// the owner is said where that is no runtime. What is for people in it may have been cut short.
func parseAlias(alias string) (store.Key, bool) {
	rest, ok := strings.CutPrefix(alias, "patchbay:")
	mark, name, spaced := strings.Cut(rest, " ")
	if !ok || !spaced || len(mark) != 12 {
		return store.Key{}, false
	}
	key, _, _ := store.ParseKey(name)
	return key, true
}
