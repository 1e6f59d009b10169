package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
)

const (
	pluginType    = "patchbay"
	defaultBridge = "cni0" // of the plugin
)

// defaultConflist is the template of a configuration that has none. hairpinMode: a pod reaches itself by the address of its service.
const defaultConflist = `{"cniVersion": "1.0.0", "cniVersions": ["0.4.0", "1.0.0", "1.1.0"], "name": "pods", "plugins": [{"type": "patchbay",
	"bridge": "cni0", "isDefaultGateway": true, "hairpinMode": true, "ipMasq": true, "statusOnFull": "warn", "capabilities": {"portMappings": true}}]}`

// template is a network configuration list without what depends on the node. It is kept as text: each use decodes a copy of its own.
type template struct {
	text   []byte
	plugin int // index of the plugin of type patchbay
	bridge string
}

// parseTemplate checks a template; empty text means the default. What Plan sets must not be there, and forceAddress neither: it would move
// the gateway address from the pods that have it when the node gets another pod CIDR.
func parseTemplate(text []byte) (template, error) {
	if len(text) == 0 || string(text) == "null" {
		text = []byte(defaultConflist)
	}
	list, err := decodeObject(text)
	if err != nil {
		return template{}, err
	}
	if name, _ := list["name"].(string); name == "" {
		return template{}, errors.New("name: missing")
	}
	plugins, _ := list["plugins"].([]any)
	at := slices.IndexFunc(plugins, isPatchbay)
	if at < 0 || slices.ContainsFunc(plugins[at+1:], isPatchbay) {
		return template{}, errors.New(`plugins: one of type "patchbay" is needed`)
	}
	plugin, _ := plugins[at].(map[string]any)
	if err := checkPlugin(plugin); err != nil {
		return template{}, fmt.Errorf("plugins[%d]: %w", at, err)
	}
	t := template{text: text, plugin: at, bridge: defaultBridge}
	if value, there := plugin["bridge"]; there {
		if t.bridge, _ = value.(string); t.bridge == "" {
			return template{}, fmt.Errorf("plugins[%d]: bridge: not a name", at)
		}
	}
	return t, nil
}

func isPatchbay(plugin any) bool {
	object, _ := plugin.(map[string]any)
	return object["type"] == pluginType
}

// checkPlugin fails for keys that Plan sets.
func checkPlugin(plugin map[string]any) error {
	for _, key := range []string{"mtu", "masqExclude", "readyFile", "forceAddress"} {
		if _, there := plugin[key]; there {
			return fmt.Errorf("%s: remove it; mtu and masqExclude are keys of the configuration of the cluster, readyFile is set by patchbay-agent, and forceAddress is not allowed in one", key)
		}
	}
	value, there := plugin["ipam"]
	if !there {
		return nil
	}
	ipam, is := value.(map[string]any)
	if !is {
		return errors.New("ipam: not an object")
	}
	for _, key := range []string{"ranges", "subnet", "rangeStart", "rangeEnd", "gateway"} {
		if _, there := ipam[key]; there {
			return fmt.Errorf("ipam.%s: remove it; the addresses are the pod CIDRs of the node", key)
		}
	}
	if kind, there := ipam["type"]; there && kind != pluginType {
		return fmt.Errorf(`ipam.type: remove it; "patchbay" gives the addresses of the pod CIDRs`)
	}
	return nil
}

// renderConflist returns the network configuration of a node: the template with the pod CIDRs as ranges, in the order of the Node object, the
// MTU, the networks that are not masqueraded, and the path of the ready file, if there is one.
func (c *Config) renderConflist(cidrs []netip.Prefix, mtu int, ready string) []byte {
	list, err := decodeObject(c.conflist.text)
	if err != nil {
		return nil // not possible: it was decoded before
	}
	plugins, _ := list["plugins"].([]any)
	plugin, _ := plugins[c.conflist.plugin].(map[string]any)
	ipam, _ := plugin["ipam"].(map[string]any)
	if ipam == nil {
		ipam = map[string]any{}
	}
	ranges := make([][]map[string]string, 0, len(cidrs))
	for _, p := range cidrs {
		ranges = append(ranges, []map[string]string{{"subnet": p.String()}})
	}
	ipam["type"], ipam["ranges"] = pluginType, ranges
	plugin["ipam"], plugin["mtu"], plugin["masqExclude"] = ipam, mtu, c.unmasqueraded()
	if ready != "" {
		plugin["readyFile"] = ready
	}
	return encode(list)
}

// unmasqueraded returns clusterCIDRs and masqExclude, each network once.
func (c *Config) unmasqueraded() (all []string) {
	for _, p := range slices.Concat(c.ClusterCIDRs, c.MasqExclude) {
		if text := p.String(); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// decodeObject decodes a JSON object; numbers keep their text.
func decodeObject(text []byte) (object map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		return nil, err
	}
	if object == nil {
		return nil, errors.New("not an object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is text after the object")
	}
	return object, nil
}

// encode returns JSON with sorted keys, an indent and an end of line.
func encode(value any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return nil // not possible: it was decoded
	}
	return b.Bytes()
}
