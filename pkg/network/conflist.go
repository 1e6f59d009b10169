package network

import (
	"encoding/json"

	"github.com/patchbay-cni/patchbay/pkg/config"
)

// createdBy is the value of the member that marks files of Create.
const createdBy = "patchbay network create"

// conflist is a file of Create, with the keys in the order in which people read them.
type conflist struct {
	CNIVersion string   `json:"cniVersion"`
	Name       string   `json:"name"`
	CreatedBy  string   `json:"createdBy"`
	Plugins    []plugin `json:"plugins"`
}

type plugin struct {
	Type             string          `json:"type"`
	Bridge           string          `json:"bridge"`
	VLAN             int             `json:"vlan,omitempty"`
	IsDefaultGateway bool            `json:"isDefaultGateway,omitempty"`
	IPMasq           bool            `json:"ipMasq,omitempty"`
	IngressPolicy    string          `json:"ingressPolicy,omitempty"`
	Capabilities     map[string]bool `json:"capabilities"`
	IPAM             ipamSection     `json:"ipam"`
}

type ipamSection struct {
	Type   string      `json:"type"`
	Ranges [][]rangeOf `json:"ranges,omitempty"`
}

type rangeOf struct {
	Subnet string `json:"subnet"`
}

// conflist returns the text of the file.
func (s Spec) conflist() ([]byte, error) {
	p := plugin{Type: config.TypeName, Bridge: s.Bridge, VLAN: s.VLAN, IPAM: ipamSection{Type: "dhcp"}, Capabilities: map[string]bool{"mac": true, "bandwidth": true}}
	if !s.DHCP {
		p.IsDefaultGateway, p.IPMasq, p.IPAM.Type = true, true, config.TypeName
		p.Capabilities["portMappings"], p.Capabilities["ips"] = true, true
		for _, subnet := range s.Subnets {
			p.IPAM.Ranges = append(p.IPAM.Ranges, []rangeOf{{subnet.String()}})
		}
	}
	if s.Isolated {
		p.IngressPolicy = config.PolicyIsolated
	}
	text, err := json.MarshalIndent(conflist{"1.0.0", s.Name, createdBy, []plugin{p}}, "", "  ")
	return append(text, '\n'), err
}
