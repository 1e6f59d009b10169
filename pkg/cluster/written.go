package cluster

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strconv"
)

// ReadConflist returns the pod CIDRs of a network configuration that Plan made with this configuration of the cluster, which has the MTU, the ready file
// and the pod CIDRs of one node. It returns false for every other file.
func (c *Config) ReadConflist(text []byte) (cidrs []netip.Prefix, ok bool) {
	var list struct {
		Plugins []json.RawMessage `json:"plugins"`
	}
	if json.Unmarshal(text, &list) != nil || c.conflist.plugin >= len(list.Plugins) {
		return nil, false
	}
	var plugin struct {
		MTU       json.Number `json:"mtu"`
		ReadyFile string      `json:"readyFile"`
		IPAM      struct {
			Ranges [][]struct {
				Subnet netip.Prefix `json:"subnet"`
			} `json:"ranges"`
		} `json:"ipam"`
	}
	if json.Unmarshal(list.Plugins[c.conflist.plugin], &plugin) != nil {
		return nil, false
	}
	for _, set := range plugin.IPAM.Ranges {
		if len(set) == 1 {
			cidrs = append(cidrs, set[0].Subnet)
		}
	}
	mtu, err := strconv.Atoi(plugin.MTU.String())
	return cidrs, err == nil && len(cidrs) > 0 && bytes.Equal(text, c.renderConflist(cidrs, mtu, plugin.ReadyFile))
}
