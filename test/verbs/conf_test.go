package verbs

import (
	"encoding/json"
	"maps"
	"testing"
)

// conf is a plugin's configuration or a section of it, as JSON has it.
type conf map[string]any

// network is the configuration of a network "net" on bridge cni0 for cniVersion 1.1.0, with sections and keys added.
func network(more ...conf) conf {
	c := conf{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0"}
	return c.with(more...)
}

// with is a copy with keys added or replaced; a key whose value is nil is left out.
func (c conf) with(more ...conf) conf {
	out := maps.Clone(c)
	for _, m := range more {
		for key, value := range m {
			out[key] = value
			if value == nil {
				delete(out, key)
			}
		}
	}
	return out
}

func (c conf) bytes(t testing.TB) []byte {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
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
	return conf{"ipam": conf{"type": "patchbay"}.with(keys...)}
}

// Keys that many tests set.
func gateway() conf        { return conf{"isGateway": true} }
func defaultGateway() conf { return conf{"isDefaultGateway": true} }

func runtimeConfig(keys conf) conf { return conf{"runtimeConfig": keys} }
func cniArgs(keys conf) conf       { return conf{"args": conf{"cni": keys}} }

// pair is a container's two networks: one that gives the first default route, one that gives the second.
func pair() (first, second conf) {
	first = network(defaultGateway(), pool("10.1.0.0/24", "fd00:1::/64"))
	second = network(defaultGateway(), pool("10.2.0.0/24", "fd00:2::/64"), conf{"name": "second", "bridge": "cni1"})
	return first, second
}
