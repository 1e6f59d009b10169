package network

import (
	"encoding/json"
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// Network is a network of a configuration directory.
type Network struct {
	Name    string         `json:"name"`
	Path    string         `json:"path"`    // of the file
	Types   []string       `json:"types"`   // of the plugins, in order
	Bridge  string         `json:"bridge"`  // "" without one
	VLAN    int            `json:"vlan"`    // 0 without one
	Subnets []netip.Prefix `json:"subnets"` // of every IPAM plugin that has a key subnet
	Created bool           `json:"created"` // by Create
}

// List returns the networks of a directory, of every plugin, sorted by file name, which is the
// order of runtimes. Files that cannot be read are left out: doctor reports them. A directory
// that does not exist has none.
func List(path string) ([]Network, error) {
	d, err := openDir(path)
	if err != nil {
		return nil, err
	}
	defer d.close()
	return d.files()
}

// files reads the networks of the directory.
func (d *dir) files() ([]Network, error) {
	found := []Network{}
	paths, err := cli.ConfFiles(d.path)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := safefile.Read(path, safefile.Rules{FollowLinks: true, AnyOwner: true})
		if err != nil {
			continue
		}
		if n, ok := parse(text); ok {
			n.Path = path
			found = append(found, n)
		}
	}
	return found, nil
}

// parse reads what Network has from a list of plugins or a single one; false for anything else.
func parse(text []byte) (n Network, ok bool) {
	var l struct {
		Name      string            `json:"name"`
		Type      string            `json:"type"`
		CreatedBy string            `json:"createdBy"`
		Plugins   []json.RawMessage `json:"plugins"`
	}
	if json.Unmarshal(text, &l) != nil || l.Name == "" {
		return n, false
	}
	if l.Plugins == nil {
		l.Plugins = []json.RawMessage{text}
	}
	n = Network{Name: l.Name, Types: []string{}, Subnets: []netip.Prefix{}, Created: l.CreatedBy == createdBy}
	for _, raw := range l.Plugins {
		var p struct {
			Type   string `json:"type"`
			Bridge string `json:"bridge"`
			VLAN   int    `json:"vlan"`
		}
		_ = json.Unmarshal(raw, &p) // what has another form stays empty
		n.Types = append(n.Types, p.Type)
		if n.Bridge == "" && p.Bridge != "" {
			n.Bridge, n.VLAN = p.Bridge, p.VLAN
		}
		var anything any
		if json.Unmarshal(raw, &anything) == nil {
			n.Subnets = append(n.Subnets, subnets(anything)...)
		}
	}
	return n, true
}

// subnets returns the values of the keys subnet, at any depth: host-local has them in ipam and
// in its ranges.
func subnets(value any) (found []netip.Prefix) {
	switch v := value.(type) {
	case []any:
		for _, one := range v {
			found = append(found, subnets(one)...)
		}
	case map[string]any:
		for key, one := range v {
			if text, ok := one.(string); ok && key == "subnet" {
				if p, err := netip.ParsePrefix(text); err == nil {
					found = append(found, p.Masked())
				}
				continue
			}
			found = append(found, subnets(one)...)
		}
	}
	return found
}
