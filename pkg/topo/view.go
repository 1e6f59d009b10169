package topo

import (
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// View is the content of a picture. It marshals to the JSON of `patchbay show -o json`.
type View struct {
	Host        Host         `json:"host"`
	Bridges     []Bridge     `json:"bridges"`     // by name
	Attachments []Attachment `json:"attachments"` // oldest host interface first, those without one last
	Namespaces  []Namespace  `json:"namespaces"`  // named ones by name, then the others of records
	Problems    []Problem    `json:"problems"`
	Unseen      []string     `json:"unseen,omitempty"` // what could not be read, and why
}

// Host is the network namespace of bridges and host interfaces.
type Host struct {
	Name     string             `json:"name"`
	Links    []link.SurveyLink  `json:"links"` // with an address or a default route; not lo, bridges, ports or host links
	Routes   []link.SurveyRoute `json:"defaultRoutes"`
	Forward4 bool               `json:"forward4"`
	Forward6 bool               `json:"forward6"`
}

// Bridge is a Linux bridge with those of its ports that are not in Attachments.
type Bridge struct {
	link.SurveyLink
	Ours  bool   `json:"ours"` // created by patchbay, according to its alias
	Ports []Port `json:"ports"`
}

// Port is a bridge port whose other end is not in a known network namespace.
type Port struct {
	link.SurveyLink
	// Uplink reports whether it connects the host to a network: any kind of interface but taps, and veths with a
	// generated name (veth...), which belong to other containers. A host that is itself a container has a veth with
	// the name of a network card.
	Uplink bool `json:"uplink"`
}

// Attachment is a container interface with its host interface and its record, as far as each exists. Without a host
// interface it belongs to another plugin, and has addresses of our IPAM.
type Attachment struct {
	Network     string `json:"network,omitempty"`
	ContainerID string `json:"containerID,omitempty"`
	IfName      string `json:"ifname"`
	Ours        bool   `json:"ours"` // according to record or alias; else a veth that patchbay did not create

	Bridge   string             `json:"bridge,omitempty"` // the bridge of the host interface; that of the record if the interface does not exist
	HostLink *link.SurveyLink   `json:"hostLink"`         // null if it does not exist
	Netns    string             `json:"netns,omitempty"`  // Path of its Namespace; empty if none can be found
	Link     *link.SurveyLink   `json:"link"`             // the container interface; null if it does not exist or cannot be read
	Tap      *link.SurveyLink   `json:"tap,omitempty"`    // for a virtual machine, joined with Link
	Routes   []link.SurveyRoute `json:"defaultRoutes"`    // through Link

	Record    *store.Record `json:"record"`              // null if it does not exist or cannot be read
	LostPorts []store.Port  `json:"lostPorts,omitempty"` // published ports of the record that the ruleset lacks
	Problems  []string      `json:"problems,omitempty"`  // where kernel and record differ
}

// guestAddresses returns the addresses of the guest behind the tap, for an attachment that has one.
func (a *Attachment) guestAddresses() (all []string) {
	for _, address := range a.Record.Addresses {
		all = append(all, address.Address.String())
	}
	return all
}

// HasTap reports whether the attachment is for a virtual machine, whose guest has the addresses.
func (a *Attachment) HasTap() bool { return a.Record != nil && a.Record.Tap != nil }

// hasLine reports whether the attachment is drawn as a line, whole or broken.
func (a *Attachment) hasLine() bool {
	return a.HostLink != nil || a.Record != nil && a.Record.Role != store.RoleIPAM
}

// Namespace is a container's, or one with a name.
type Namespace struct {
	Name   string             `json:"name"` // of the pod, the namespace or the process
	Path   string             `json:"path"`
	Links  []link.SurveyLink  `json:"links"` // without lo
	Routes []link.SurveyRoute `json:"defaultRoutes"`
	Error  string             `json:"error,omitempty"` // why it could not be read
}

// Problem is one difference between kernel and record.
type Problem struct {
	About string `json:"about"` // network/containerID/ifname, a link or a file
	Text  string `json:"text"`
}
