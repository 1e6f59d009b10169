package lan

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
)

// createdBy is the value of the member that marks files of this package.
const createdBy = "patchbay-lan"

// pluginType is the type of the plugin that gets the blocks.
const pluginType = "patchbay"

// ErrTemplate is wrapped by all errors about a template.
var ErrTemplate = errors.New("invalid template of the network configuration")

// Template is a network configuration list (CNI SPEC section 1) without addresses.
type Template struct {
	list   map[string]any
	plugin map[string]any // of list
}

// DefaultTemplate returns the template of a network on an existing bridge.
func DefaultTemplate(bridge string) Template {
	plugin := map[string]any{"type": pluginType, "bridge": bridge, "capabilities": map[string]any{"mac": true, "ips": true, "bandwidth": true}}
	return Template{map[string]any{
		"cniVersion": "1.0.0", "cniVersions": []any{"0.4.0", "1.0.0", "1.1.0"}, "plugins": []any{plugin},
	}, plugin}
}

// ParseTemplate reads a conflist. Its first plugin of the type patchbay gets the name of the network, and in ipam the ranges,
// the excluded addresses, and a default route if it has no routes. Errors wrap ErrTemplate.
func ParseTemplate(text []byte) (Template, error) {
	t := Template{list: map[string]any{}}
	if err := json.Unmarshal(text, &t.list); err != nil {
		return Template{}, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	plugins, _ := t.list["plugins"].([]any)
	for _, p := range plugins {
		if plugin, ok := p.(map[string]any); ok && plugin["type"] == pluginType {
			t.plugin = plugin
			_, isObject := plugin["ipam"].(map[string]any)
			switch {
			case plugin["ipam"] != nil && !isObject:
				return Template{}, fmt.Errorf("%w: ipam of the plugin patchbay must be an object", ErrTemplate)
			case plugin["vlan"] != nil || plugin["vlanTrunk"] != nil:
				return Template{}, fmt.Errorf("%w: vlan and vlanTrunk are not supported; use a bridge whose uplink is an interface of that VLAN", ErrTemplate)
			}
			return t, nil
		}
	}
	return Template{}, fmt.Errorf("%w: it needs a plugin of the type patchbay in plugins", ErrTemplate)
}

// Bridge returns the bridge of the network.
func (t Template) Bridge() string {
	if name, ok := t.plugin["bridge"].(string); ok {
		return name
	}
	return "cni0" // the default of the plugin
}

// DataDir returns the directory of the addresses, "" for the default of the plugin.
func (t Template) DataDir() string {
	ipam, _ := t.plugin["ipam"].(map[string]any)
	dir, _ := ipam["dataDir"].(string)
	return dir
}

// Conflist returns the network configuration with some blocks: a range for each, all in one range set, so that a container
// gets one address.
func (t Template) Conflist(network string, c Config, blocks []netip.Prefix) []byte {
	var ranges []any
	for _, b := range blocks {
		first, last := c.Bounds(b)
		r := map[string]any{"subnet": c.Subnet, "rangeStart": first, "rangeEnd": last}
		if c.Gateway.IsValid() {
			r["gateway"] = c.Gateway
		}
		ranges = append(ranges, r)
	}
	ipam, _ := t.plugin["ipam"].(map[string]any)
	if ipam == nil {
		ipam = map[string]any{}
	}
	ipam["type"], ipam["ranges"] = pluginType, []any{ranges}
	delete(ipam, "subnet")
	if len(c.Exclude) > 0 {
		ipam["exclude"] = c.Exclude
	}
	if _, has := ipam["routes"]; !has && c.Gateway.IsValid() {
		all := netip.PrefixFrom(unspecified(c.Gateway), 0)
		ipam["routes"] = []any{map[string]any{"dst": all}}
	}
	t.plugin["ipam"], t.list["name"], t.list["createdBy"] = ipam, network, createdBy
	text, _ := json.MarshalIndent(t.list, "", "  ") // every value has a text form
	return append(text, '\n')
}

func unspecified(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
