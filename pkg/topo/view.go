package topo

import (
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// View is what there is to draw. It marshals to the JSON of `patchbay show -o json`.
type View struct {
	Host        Host         `json:"host"`
	Bridges     []Bridge     `json:"bridges"`     // by name
	Attachments []Attachment `json:"attachments"` // oldest link first, those without a link last
	Namespaces  []Namespace  `json:"namespaces"`  // those with a name, by name, then those that only a record knows
	Problems    []Problem    `json:"problems"`
	Unseen      []string     `json:"unseen,omitempty"` // what could not be looked at, and why
}

// Host is the namespace that bridges and host links are in.
type Host struct {
	Name     string             `json:"name"`
	Links    []link.SurveyLink  `json:"links"` // with an address or a default route; not lo, bridges, ports or host links
	Routes   []link.SurveyRoute `json:"defaultRoutes"`
	Forward4 bool               `json:"forward4"`
	Forward6 bool               `json:"forward6"`
}

// Bridge is a bay: a Linux bridge with those of its ports that are not in Attachments.
type Bridge struct {
	link.SurveyLink
	Ours  bool   `json:"ours"` // made by patchbay, by its alias
	Ports []Port `json:"ports"`
}

// Port is a bridge port whose other end is not a namespace we can see.
type Port struct {
	link.SurveyLink
	// Uplink says that it leads out of the host: any kind of link but taps, and veths with a
	// made-up name (veth...), which are other people's containers. A veth named like a card
	// is what a host that is itself a container has for one.
	Uplink bool `json:"uplink"`
}

// Attachment is an interface of a namespace with its cable and its record, as far as each
// exists. Without a cable it is another plugin's that has addresses of ours.
type Attachment struct {
	Network     string `json:"network,omitempty"`
	ContainerID string `json:"containerID,omitempty"`
	IfName      string `json:"ifname"`
	Ours        bool   `json:"ours"` // by record or by alias; else a veth that somebody made by hand

	Bridge   string             `json:"bridge,omitempty"` // the host link's master; the record's where the link is gone
	HostLink *link.SurveyLink   `json:"hostLink"`         // null: there is none
	Netns    string             `json:"netns,omitempty"`  // Path of its Namespace; empty if none can be found
	Link     *link.SurveyLink   `json:"link"`             // the container's end; null: there is none, or it cannot be seen
	Routes   []link.SurveyRoute `json:"defaultRoutes"`    // through Link

	Record    *store.Record `json:"record"`              // null: there is none, or it cannot be read
	LostPorts []store.Port  `json:"lostPorts,omitempty"` // of the record, those that do not all lead here any more
	Problems  []string      `json:"problems,omitempty"`  // where kernel and record differ
}

// cabled reports whether there is a cable to draw, whole or broken.
func (a *Attachment) cabled() bool {
	return a.HostLink != nil || a.Record != nil && a.Record.Role != store.RoleIPAM
}

// Namespace is a container's, or one with a name.
type Namespace struct {
	Name   string             `json:"name"` // for people: pod, name, or process
	Path   string             `json:"path"`
	Links  []link.SurveyLink  `json:"links"` // without lo
	Routes []link.SurveyRoute `json:"defaultRoutes"`
	Error  string             `json:"error,omitempty"` // why it could not be looked into
}

// Problem is one difference between what is and what should be.
type Problem struct {
	About string `json:"about"` // network/containerID/ifname, a link or a file
	Text  string `json:"text"`
}
