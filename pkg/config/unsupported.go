package config

import (
	"encoding/json"
	"slices"
)

// notYet are keys of the reference plugins whose work this version does not do. With their
// zero value they ask for nothing and pass.
func notYet() []string {
	return []string{
		"vlan", "vlanTrunk", "preserveDefaultVlan", "macspoofchk", "portIsolation",
		"sysctl", "mac", "promisc", "allmulti", "txQLen",
		"ingressRate", "ingressBurst", "egressRate", "egressBurst",
	}
}

// refuse refuses keys of notYet, and capabilities, that ask for something.
func (d *decoder) refuse(top section) {
	for _, key := range notYet() {
		d.refuseKey(top, key)
	}
	runtime := d.inner(top, "runtimeConfig")
	for _, key := range []string{"bandwidth"} {
		d.refuseKey(runtime, key)
	}
}

func (d *decoder) refuseKey(s section, key string) {
	raw, found := s.raw(key)
	if !found || isZero(raw) {
		return
	}
	d.fail(&Error{
		Kind: Unsupported, Msg: s.path + key + ": " + brief(raw) + " is not supported by this version",
		Details: "leave the key out, or use the reference plugin that does it for this network",
	})
}

func isZero(raw json.RawMessage) bool {
	return slices.Contains([]string{"false", "0", `""`, "[]", "{}", "null"}, brief(raw))
}
