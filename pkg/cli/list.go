package cli

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// States of an attachment, as `ls` tells them.
const (
	StateUp         = "up"           // plugged in, and the other end is up
	StateDown       = "down"         // plugged in, and one of the ends is down
	StateUnplugged  = "unplugged"    // the cable is in no bridge, or in another than it should be
	StateNoCable    = "no cable"     // a record, and no host link: dead, unless its namespace lives
	StateNoRecord   = "no record"    // a cable of ours that no record tells of
	StateUnreadable = "unreadable"   // a record that cannot be read
	StateAddresses  = "address only" // the cable is another plugin's, which has addresses of ours
)

// Attachment is a line of `ls`, and an object of its JSON: the names of the fields stay.
type Attachment struct {
	Name        string   `json:"name"` // for people: of the namespace, the pod or the process, else the container ID
	Network     string   `json:"network"`
	ContainerID string   `json:"containerID"`
	IfName      string   `json:"ifname"`
	Addresses   []string `json:"addresses"` // with the length of the subnet; never null
	Bridge      string   `json:"bridge"`
	HostLink    string   `json:"hostLink"` // "" where there is none
	Netns       string   `json:"netns"`    // path, as it was given
	Owner       string   `json:"owner"`    // cni: a runtime; cli: these commands; lxc; "" where nothing tells
	State       string   `json:"state"`
	Ports       []Port   `json:"ports"` // published; never null

	stateDir string
	record   *store.Record
}

// Key identifies the attachment.
func (a *Attachment) Key() store.Key {
	return store.Key{Network: a.Network, ContainerID: a.ContainerID, IfName: a.IfName}
}

// List are the attachments of a host, of one network unless that is "": the records, and the cables
// without one. It asks the kernel for all veths at once, and looks into no namespace. They are in the
// order of networks and names.
func List(stateDir, network string) ([]Attachment, error) {
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	cables, err := host.Veths()
	if err != nil {
		return nil, err
	}
	s := &switchboard{host: host, cables: map[string]*link.Link{}, bridges: map[string]int{}}
	for _, l := range cables {
		s.cables[l.Name] = l
	}
	all := []Attachment{}
	for _, dir := range store.StateDirs(stateDir) {
		entries, err := store.List(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			a := s.ofEntry(e)
			a.stateDir, a.record = dir, e.Record
			all = append(all, a)
		}
	}
	all = append(all, s.unrecorded(all)...)
	all = slices.DeleteFunc(all, func(a Attachment) bool { return network != "" && a.Network != network })
	slices.SortStableFunc(all, func(a, b Attachment) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.Name, b.Name), cmp.Compare(a.IfName, b.IfName))
	})
	return all, nil
}

// switchboard is what the kernel says, for one List.
type switchboard struct {
	host    *link.Host
	cables  map[string]*link.Link // by name; those that were asked for by name too
	bridges map[string]int        // indexes by name, 0 for none
}

func (s *switchboard) ofEntry(e store.Entry) Attachment {
	a := Attachment{Name: e.Key.ContainerID, Network: e.Key.Network, ContainerID: e.Key.ContainerID, IfName: e.Key.IfName, Addresses: []string{}, Ports: []Port{}}
	r := e.Record
	if r == nil {
		a.State = StateUnreadable
		return a
	}
	a.Name, a.Bridge, a.HostLink, a.Netns, a.Owner = nameOf(r), r.Bridge, r.HostLink, r.Netns, r.Owner
	for _, address := range r.Addresses {
		a.Addresses = append(a.Addresses, address.Address.String())
	}
	a.Ports = portsOf(r)
	a.State = s.state(r)
	if a.State == StateNoCable {
		a.HostLink = ""
	}
	return a
}

// nameOf is what people call an attachment's namespace. A runtime's random one is less than the ID.
func nameOf(r *store.Record) string {
	switch {
	case r.Pod != nil:
		return r.Pod.Namespace + "/" + r.Pod.Name
	case filepath.Dir(r.Netns) == NetnsDir && r.Owner != store.OwnerCNI:
		return filepath.Base(r.Netns)
	}
	return r.ContainerID
}

func (s *switchboard) state(r *store.Record) string {
	if r.Role == store.RoleIPAM {
		return StateAddresses
	}
	l := s.cable(r.HostLink)
	mark, _, _ := strings.Cut(r.Alias, " ")
	switch {
	case l == nil, r.Role == store.RolePort && !l.IsOurs(mark):
		return StateNoCable
	case l.Master == 0 || l.Master != s.bridge(r.Bridge):
		return StateUnplugged
	case !l.Up || l.Port == nil || l.Port.Disabled:
		return StateDown
	}
	return StateUp
}

// cable is the link of a name. In a chain it may be no veth, and then is not in the dump.
func (s *switchboard) cable(name string) *link.Link {
	if l, known := s.cables[name]; known || name == "" {
		return l
	}
	l, err := s.host.Link(name)
	if err != nil {
		l = nil
	}
	s.cables[name] = l
	return l
}

func (s *switchboard) bridge(name string) int {
	if index, known := s.bridges[name]; known {
		return index
	}
	s.bridges[name] = 0
	if l, err := s.host.Link(name); err == nil {
		s.bridges[name] = l.Index
	}
	return s.bridges[name]
}

// unrecorded are the cables of ours that none of the attachments has. That of an unreadable record
// gives it the name of its link.
func (s *switchboard) unrecorded(all []Attachment) []Attachment {
	at := map[store.Key]*Attachment{}
	have := map[string]bool{}
	for i := range all {
		at[all[i].Key()] = &all[i]
		have[all[i].HostLink] = true
	}
	var found []Attachment
	for name, l := range s.cables {
		if l == nil || have[name] {
			continue
		}
		key, owner, ours := attach.ParseAlias(l.Alias)
		if a := at[key]; ours && a != nil && a.State == StateUnreadable {
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
