package parity

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// conf is a plugin's configuration or a section of it, as JSON has it.
type conf map[string]any

// row is a network that both sides run, as the reference is told it.
type row struct {
	name string
	file string // a conflist of testdata; else the keys are those of one plugin
	keys conf

	version string          // cniVersion; 1.0.0, or the file's
	own     map[string]conf // further keys by container
	args    map[string][][2]string
	// capabilities are what a runtime has for each container.
	capabilities map[string]map[string]any

	host     func(*testing.T, *nettest.Node) // what is there before
	dataDir  string                          // of the addresses, where it is configured
	replaces []string                        // what ADD takes away from the host, for the leak oracle
	outside  bool                            // there is a LAN; who does the outside see?
}

// with is a copy with keys added.
func (c conf) with(more ...conf) conf {
	out := maps.Clone(c)
	if out == nil {
		out = conf{}
	}
	for _, m := range more {
		maps.Copy(out, m)
	}
	return out
}

// pool is the section ipam with one set of one range for each subnet.
func pool(subnets ...string) conf {
	sets := make([][]conf, len(subnets))
	for i, subnet := range subnets {
		sets[i] = []conf{{"subnet": subnet}}
	}
	return ipam(conf{"ranges": sets})
}

// ipam is the section ipam with these keys.
func ipam(keys ...conf) conf {
	return conf{"ipam": conf{"type": "host-local"}.with(keys...)}
}

// gatewayed is what most people have: the host is the gateway.
func gatewayed(more ...conf) conf {
	return conf{"isDefaultGateway": true}.with(pool("10.1.0.0/24")).with(more...)
}

// dual is gatewayed with both families.
func dual(more ...conf) conf {
	return conf{"isDefaultGateway": true}.with(pool("10.1.0.0/24", "fd00:1::/64")).with(more...)
}

// bridge is the name of the row's bridge.
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

// network is the conflist that a side runs for a container: ours has other types, and nothing else.
func (r row) network(t *testing.T, ours bool, container string) *libcni.NetworkConfigList {
	t.Helper()
	list := r.conflist(t)
	if r.version != "" {
		list["cniVersion"] = r.version
	}
	plugins, _ := list["plugins"].([]any)
	first, _ := plugins[0].(map[string]any)
	maps.Copy(first, r.own[container])
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
	plugin := conf{"type": "bridge", "bridge": "cni0"}.with(r.keys)
	text, err := json.Marshal(conf{"cniVersion": "1.0.0", "name": "net", "plugins": []conf{plugin}})
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
