package parity

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// row is a network for both sides, in the form for the reference.
type row struct {
	name string
	file string // a conflist of testdata; else the keys are those of one plugin
	keys cni.Conf

	// behind are reference plugins that follow bridge in the list; Patchbay has their keys in its one plugin.
	behind []cni.Conf

	version string              // cniVersion; 1.0.0, or the file's
	own     map[string]cni.Conf // further keys by container
	args    map[string][][2]string
	// capabilities are what a runtime has for each container.
	capabilities map[string]map[string]any

	host     func(*testing.T, *nettest.Node) // prepares the host
	dataDir  string                          // of the addresses, if configured
	replaces []string                        // what ADD removes from the host, for the leak oracle
	outside  bool                            // there is a LAN; record the source addresses that it sees
}

// ipam returns the section ipam of host-local with these keys.
func ipam(keys ...cni.Conf) cni.Conf { return cni.IPAM(cni.Conf{"type": "host-local"}.With(keys...)) }

// pool is ipam with one range set of one range for each subnet.
func pool(subnets ...string) cni.Conf { return ipam(cni.Conf{"ranges": cni.Ranges(subnets...)}) }

// gatewayed is the common network: the host is the gateway.
func gatewayed(more ...cni.Conf) cni.Conf {
	return cni.Conf{"isDefaultGateway": true}.With(pool("10.1.0.0/24")).With(more...)
}

// dual is gatewayed with both families.
func dual(more ...cni.Conf) cni.Conf {
	return cni.Conf{"isDefaultGateway": true}.With(pool("10.1.0.0/24", "fd00:1::/64")).With(more...)
}

// bridge returns the name of the bridge.
func (r row) bridge(t *testing.T) string {
	t.Helper()
	plugins, _ := r.conflist(t)["plugins"].([]any)
	first, _ := plugins[0].(map[string]any)
	name, ok := first["bridge"].(string)
	if !ok {
		t.Fatalf("%s names no bridge", r.name)
	}
	return name
}

// network returns the conflist of a side for a container: only the types differ.
func (r row) network(t *testing.T, ours bool, container string) *libcni.NetworkConfigList {
	t.Helper()
	list := r.conflist(t)
	if r.version != "" {
		list["cniVersion"] = r.version
	}
	plugins, _ := list["plugins"].([]any)
	first, _ := plugins[0].(map[string]any)
	maps.Copy(first, r.own[container])
	for _, plugin := range r.behind {
		if !ours {
			list["plugins"] = append(list["plugins"].([]any), plugin) //nolint:errcheck // bridge was read from it
			continue
		}
		keys := maps.Clone(plugin)
		delete(keys, "type")
		if plugin["type"] == "sbr" {
			keys = cni.Conf{"sbr": keys}
		}
		maps.Copy(first, keys)
	}
	if ours {
		takeOver(first, "bridge")
		if section, ok := first["ipam"].(map[string]any); ok {
			takeOver(section, "host-local")
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := libcni.ConfListFromBytes(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func takeOver(section map[string]any, from string) {
	if section["type"] == from {
		section["type"] = "patchbay"
	}
}

// conflist is the file's, or one of the keys; as JSON has it.
func (r row) conflist(t *testing.T) (list map[string]any) {
	t.Helper()
	plugin := cni.Conf{"type": "bridge", "bridge": "cni0"}.With(r.keys)
	text, err := json.Marshal(cni.Conf{"cniVersion": "1.0.0", "name": "net", "plugins": []cni.Conf{plugin}})
	if r.file != "" {
		text, err = os.ReadFile(filepath.Join("testdata", r.file))
	}
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}
