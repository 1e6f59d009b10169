package inventory

import (
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// The states of an attachment that `ls` prints.
const (
	StateUp         = "up"           // the host interface is a port of its bridge, and both ends are up
	StateDown       = "down"         // the host interface is a port of its bridge, and one of the ends is down
	StateUnplugged  = "unplugged"    // the host interface is no port of a bridge, or of another than the record has
	StateStale      = "stale"        // a record without a host interface
	StateNoRecord   = "no record"    // a host interface of ours without a record
	StateUnreadable = "unreadable"   // a record that cannot be read
	StateAddresses  = "address only" // another plugin's interface, which has addresses of our IPAM
)

// Attachment is a line of `ls`, and an object of its JSON: the names of the fields stay.
type Attachment struct {
	Name        string   `json:"name"` // of the pod or the named network namespace, else the container ID
	Network     string   `json:"network"`
	ContainerID string   `json:"containerID"`
	IfName      string   `json:"ifname"`
	Addresses   []string `json:"addresses"` // CIDR; never null
	Bridge      string   `json:"bridge"`
	HostLink    string   `json:"hostLink"` // "" if it does not exist
	Netns       string   `json:"netns"`    // path, as the caller gave it
	Owner       string   `json:"owner"`    // cni, cli or lxc; "" if neither record nor alias has it
	State       string   `json:"state"`
	Ports       []Port   `json:"ports"`   // published; never null
	TapName     string   `json:"tapName"` // of a virtual machine, whose guest has the addresses; "" without

	StateDir string        `json:"-"` // of the record; "" without one
	Record   *store.Record `json:"-"` // nil if it does not exist or cannot be read
}

// Key returns the key of the attachment.
func (a *Attachment) Key() store.Key {
	return store.Key{Network: a.Network, ContainerID: a.ContainerID, IfName: a.IfName}
}

// Attachments returns the attachments of a network, of every network if that is "", sorted by network,
// name and interface: one for each record, and one for each host interface that has our alias and no
// record. It dumps the veth interfaces of the host once.
func (i *Inventory) Attachments(network string) ([]Attachment, error) {
	all, err := i.attachments()
	if err != nil {
		return nil, err
	}
	wanted := []Attachment{}
	for _, a := range all {
		if network == "" || a.Network == network {
			wanted = append(wanted, a)
		}
	}
	return wanted, nil
}

// withRecord returns the attachment of a record; l is its host interface, nil if it does not exist.
func (j *joiner) withRecord(e Entry) Attachment {
	a := Attachment{
		Name: e.Key.ContainerID, Network: e.Key.Network, ContainerID: e.Key.ContainerID, IfName: e.Key.IfName,
		Addresses: []string{}, Ports: []Port{}, State: StateUnreadable, StateDir: e.StateDir, Record: e.Record,
	}
	r := e.Record
	if r == nil {
		return a
	}
	a.Name, a.Bridge, a.Netns, a.Owner = identity.Name(r), r.Bridge, r.Netns, r.Owner
	for _, address := range r.Addresses {
		a.Addresses = append(a.Addresses, address.Address.String())
	}
	a.Ports = portsOf(r)
	if r.Tap != nil {
		a.TapName = r.Tap.Name
	}
	l := j.hostInterface(r)
	a.State = j.state(r, l)
	if l != nil {
		a.HostLink = l.Name
	}
	return a
}
