// Package cni builds network configurations and calls the plugin with them as a container runtime does.
// Tests that call it through libcni use package conflist instead. It asserts nothing but that a call succeeds.
package cni

import (
	"encoding/json"
	"maps"
	"testing"
)

// Conf is a JSON object: a plugin's configuration or a part of it.
type Conf map[string]any

// Absent is the value of a key that With removes. nil stays in the object, as null.
const Absent absent = "absent"

type absent string

// Network returns the configuration of network "net" on bridge cni0 for cniVersion 1.1.0, with further keys added or replaced.
func Network(more ...Conf) Conf {
	return Conf{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0"}.With(more...)
}

// With returns a copy with keys added, replaced or, where the value is Absent, removed.
func (c Conf) With(more ...Conf) Conf {
	out := Conf{}
	maps.Copy(out, c)
	for _, m := range more {
		for key, value := range m {
			out[key] = value
			if value == Absent {
				delete(out, key)
			}
		}
	}
	return out
}

// JSON returns the object as text.
func (c Conf) JSON(t testing.TB) []byte {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Pool returns the section ipam with one range set of one range for each subnet (CIDR).
func Pool(subnets ...string) Conf { return IPAM(Conf{"ranges": Ranges(subnets...)}) }

// IPAM returns the section ipam of the built-in IPAM with these keys.
func IPAM(keys ...Conf) Conf { return Conf{"ipam": Conf{"type": "patchbay"}.With(keys...)} }

// Ranges returns one range set of one range for each subnet (CIDR).
func Ranges(subnets ...string) [][]Conf {
	sets := make([][]Conf, len(subnets))
	for i, subnet := range subnets {
		sets[i] = []Conf{{"subnet": subnet}}
	}
	return sets
}

// Gateway gives the bridge the gateway address of each range.
func Gateway() Conf { return Conf{"isGateway": true} }

// DefaultGateway is Gateway with a default route in the container.
func DefaultGateway() Conf { return Conf{"isDefaultGateway": true} }

// Masquerade translates the addresses of containers to the host's.
func Masquerade() Conf { return Conf{"ipMasq": true} }

// Ports returns the port mappings that a runtime passes for one container.
func Ports(mappings ...Conf) Conf { return RuntimeConfig(Conf{"portMappings": mappings}) }

// RuntimeConfig returns the section runtimeConfig.
func RuntimeConfig(keys Conf) Conf { return Conf{"runtimeConfig": keys} }

// Args returns the section args.cni, which a runtime fills per container.
func Args(keys Conf) Conf { return Conf{"args": Conf{"cni": keys}} }
