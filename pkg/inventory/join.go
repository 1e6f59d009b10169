package inventory

import (
	"cmp"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// joiner finds the host interfaces of records.
type joiner struct {
	host    *link.Host
	links   map[string]*link.Link // by name; nil for one that was asked for and does not exist
	aliases map[string]*link.Link // the veth interfaces by alias, which stays if one is renamed
	bridges map[string]int        // indexes by name; 0 for a bridge that does not exist
}

// join reads the interfaces before the records: an interface that is created in between is asked for by
// its name, while a record that is written in between would be missing.
func (i *Inventory) join() ([]Attachment, error) {
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	veths, err := host.Veths()
	if err != nil {
		return nil, err
	}
	j := &joiner{host: host, links: map[string]*link.Link{}, aliases: map[string]*link.Link{}, bridges: map[string]int{}}
	for _, l := range veths {
		j.links[l.Name], j.aliases[l.Alias] = l, l
	}
	entries, err := i.Records()
	if err != nil {
		return nil, err
	}
	var all []Attachment
	for _, e := range entries {
		all = append(all, j.withRecord(e))
	}
	all = append(all, j.withoutRecord(all)...)
	slices.SortStableFunc(all, func(a, b Attachment) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.Name, b.Name), cmp.Compare(a.IfName, b.IfName))
	})
	return all, nil
}

// hostInterface returns the host interface of a record, nil if it does not exist. Of a bridge port that is the
// one with the recorded name and our mark, or with the recorded alias if it was renamed; in a chain it is the
// one with the recorded name, or with the recorded index if that is of this boot.
func (j *joiner) hostInterface(r *store.Record) *link.Link {
	l := j.named(r.HostLink)
	switch {
	case l != nil && (r.Role != store.RolePort || l.IsOurs(identity.MarkOf(r.Alias))):
		return l
	case r.Role == store.RolePort && r.Alias != "":
		return j.aliases[r.Alias]
	case r.Role == store.RoleChained && r.HostIndex != 0 && r.BootID == store.BootID():
		if l, err := j.host.LinkAt(r.HostIndex); err == nil {
			return l
		}
	}
	return nil
}

func (j *joiner) state(r *store.Record, l *link.Link) string {
	switch {
	case r.Role == store.RoleIPAM, r.Role == store.RolePart && r.HostLink == "":
		return StateAddresses
	case l == nil:
		return StateStale
	case r.PointToPoint() && l.Up:
		return StateUp
	case r.PointToPoint():
		return StateDown
	case l.Master == 0 || l.Master != j.bridge(r.Bridge):
		return StateUnplugged
	case !l.Up || l.Port == nil || l.Port.Disabled:
		return StateDown
	}
	return StateUp
}

// named returns the interface of a name, nil if there is none. In a chain it may be no veth, and then is
// not in the dump.
func (j *joiner) named(name string) *link.Link {
	if l, known := j.links[name]; known || name == "" {
		return l
	}
	l, err := j.host.Link(name)
	if err != nil {
		l = nil
	}
	j.links[name] = l
	return l
}

func (j *joiner) bridge(name string) int {
	if index, known := j.bridges[name]; known {
		return index
	}
	j.bridges[name] = 0
	if l, err := j.host.Link(name); err == nil {
		j.bridges[name] = l.Index
	}
	return j.bridges[name]
}

// withoutRecord returns an attachment for each interface that has our alias and belongs to none of the given
// ones. An unreadable record takes name and owner of its interface from there.
func (j *joiner) withoutRecord(all []Attachment) []Attachment {
	byKey := map[store.Key]*Attachment{}
	taken := map[string]bool{}
	for i := range all {
		byKey[all[i].Key()] = &all[i]
		taken[all[i].HostLink] = true
	}
	var found []Attachment
	for name, l := range j.links {
		if l == nil || taken[name] {
			continue
		}
		key, owner, ours := identity.ParseAlias(l.Alias)
		if a := byKey[key]; ours && a != nil && a.State == StateUnreadable {
			a.HostLink, a.Owner = name, owner
			continue
		}
		if ours {
			found = append(found, Attachment{
				Name: cmp.Or(key.ContainerID, name), Network: key.Network, ContainerID: key.ContainerID, IfName: key.IfName,
				Addresses: []string{}, HostLink: name, Owner: owner, State: StateNoRecord, Ports: []Port{},
			})
		}
	}
	return found
}
