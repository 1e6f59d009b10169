package topo

import (
	"cmp"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// attachments returns those of the host's interfaces, then those of records whose host interface does not exist.
func (m *snapshot) attachments() []Attachment {
	byLink := map[string]*store.Record{}  // records that have a host interface
	byAlias := map[string]*store.Record{} // by alias, which stays if the interface is renamed
	for _, e := range slices.Concat(m.before, m.after) {
		if e.Record != nil && e.Record.HostLink != "" {
			byLink[e.Record.HostLink] = e.Record
			byAlias[e.Record.Alias] = e.Record
		}
	}
	found := []Attachment{}
	have := map[store.Key]bool{}
	for i := range m.host.Links {
		l := &m.host.Links[i]
		r := byLink[l.Name]
		if r == nil && l.Alias != "" {
			r = byAlias[l.Alias]
		}
		if a, ok := m.fromLink(l, r); ok {
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

// steady returns the records that existed both before and after the kernel was read: a record that was added
// or deleted meanwhile has a link that was added or deleted meanwhile.
func (m *snapshot) steady() []inventory.Entry {
	before := map[string]bool{}
	for _, e := range m.before {
		before[e.Path] = true
	}
	return slices.DeleteFunc(slices.Clone(m.after), func(e inventory.Entry) bool { return !before[e.Path] })
}

func (a *Attachment) key() store.Key {
	return store.Key{Network: a.Network, ContainerID: a.ContainerID, IfName: a.IfName}
}

// fromLink returns the attachment of a host interface that has a record, our alias, or its other end in a surveyed
// namespace.
func (m *snapshot) fromLink(l *link.SurveyLink, r *store.Record) (Attachment, bool) {
	far, end := m.otherEnd(l)
	key, _, ours := identity.ParseAlias(l.Alias)
	if l.Kind == "bridge" || l.Kind == "ifb" || !ours && r == nil && far == nil { // the ifb device of a rate limit has the alias of its attachment
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
	m.addNetns(&a, far)
	return a, true
}

func (m *snapshot) fromRecord(r *store.Record) Attachment {
	a := Attachment{
		Network: r.Network, ContainerID: r.ContainerID, IfName: r.IfName,
		Ours: true, Record: r, Bridge: r.Bridge,
	}
	m.addNetns(&a, m.at(r.Netns))
	return a
}

// addNetns adds what the namespace has to an attachment.
func (m *snapshot) addNetns(a *Attachment, far *surveyed) {
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
	if a.HasTap() {
		if l := linkNamed(far.survey, a.Record.Tap.Name); l != nil && strings.HasPrefix(l.Kind, "tun") {
			a.Tap = l
		}
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

// otherEnd returns the other end of a veth pair: each end has the index of the other and the number of its namespace. A
// namespace that may not be entered has a number too.
func (m *snapshot) otherEnd(l *link.SurveyLink) (*surveyed, *link.SurveyLink) {
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

// at returns the namespace at a path, nil if none was surveyed.
func (m *snapshot) at(path string) *surveyed {
	i := slices.IndexFunc(m.namespaces, func(s *surveyed) bool { return slices.Contains(s.paths, path) })
	if i < 0 {
		return nil
	}
	return m.namespaces[i]
}
