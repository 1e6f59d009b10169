package main

import (
	"encoding/json"
	"path/filepath"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// mostFiles is how many files a directory of network configurations may have for its names to be compared.
const mostFiles = 1000

// checkOthers reports what else on the host keeps pods from the network: a configuration of another network that the runtime prefers, and
// a neighbour table that is too small for the nodes.
func (p *passing) checkOthers(routes int) {
	dir, own := filepath.Split(p.options.conflist)
	names, err := safefile.Names(dir, mostFiles)
	if err != nil {
		return // the file could not be written there either
	}
	slices.Sort(names)
	for _, name := range names {
		switch filepath.Ext(name) {
		case ".conf", ".conflist", ".json":
			if name < own {
				p.report(nodeproblem.ForeignConflist, "%s sorts before %s, so the runtime uses it for new pods: remove it if it is not wanted", filepath.Join(dir, name), own)
			}
		}
	}
	tables, err := p.agent.host.NeighbourTables()
	if err != nil {
		return // it is only for the report
	}
	for _, t := range tables {
		name, peers := "ipv4", 0
		if t.IPv6 {
			name = "ipv6"
		}
		for _, cidr := range p.cluster.ClusterCIDRs {
			if cidr.Addr().Is6() == t.IPv6 {
				peers = p.state.Nodes - 1
			}
		}
		if routes > 0 && t.Limit < 2*peers {
			p.report(nodeproblem.NeighbourTable, "net.%s.neigh.default.gc_thresh3 is %d, for %d other nodes and all containers of the machine: set it to %d at least", name, t.Limit, peers, 2*peers)
		}
	}
}

// checkConflist checks a network configuration by the parser of the plugin.
func checkConflist(text []byte) error {
	var list struct {
		Name       string                       `json:"name"`
		CNIVersion string                       `json:"cniVersion"`
		Plugins    []map[string]json.RawMessage `json:"plugins"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, plugin := range list.Plugins {
		if string(plugin["type"]) != `"patchbay"` {
			continue
		}
		for key, value := range map[string]string{"name": list.Name, "cniVersion": list.CNIVersion} {
			plugin[key], _ = json.Marshal(value)
		}
		conf, err := json.Marshal(plugin)
		if err != nil {
			return err
		}
		if _, err := config.Parse(conf, ""); err != nil {
			return err
		}
	}
	return nil
}
