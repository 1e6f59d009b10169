package vlan

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// likeReference are configurations that the reference bridge takes.
func likeReference() map[string]cni.Conf {
	trunk := cni.Conf{"vlanTrunk": []cni.Conf{{"id": 20}, {"minID": 30, "maxID": 32, "id": 40}}}
	return map[string]cni.Conf{
		"vlan":                         vlan(100),
		"vlan, preserveDefaultVlan":    vlan(100).With(cni.Conf{"preserveDefaultVlan": true}),
		"vlan 1":                       vlan(1),
		"vlan and vlanTrunk":           vlan(100).With(trunk),
		"vlanTrunk":                    trunk,
		"vlanTrunk with VLAN 1":        {"vlanTrunk": []cni.Conf{{"minID": 1, "maxID": 5}}},
		"vlanTrunk, isGateway":         trunk.With(cni.Gateway()),
		"vlan, isGateway":              vlan(100).With(cni.Gateway()),
		"vlanTrunk, preserve default":  trunk.With(cni.Conf{"preserveDefaultVlan": true}),
		"vlan 4094, portIsolation":     vlan(4094).With(cni.Conf{"portIsolation": true}),
		"vlan, isDefaultGateway, masq": vlan(100).With(cni.DefaultGateway(), cni.Masquerade()),
	}
}

// seen is what users of either plugin see.
type seen struct {
	Filters    bool     // vlan_filtering of the bridge
	VLANs      []string // of the port
	Isolated   bool     // the port
	Interfaces []string // names in the result: bridge, gateway
	Gateways   []string // interfaces that have the gateway's address
}

// TestLikeTheReference: beside the reference bridge, on a host each: VLANs of the port, isolation, filtering of the bridge, and on which
// interface the gateway is.
//
// Claim: A port has the VLANs that the reference bridge gives it, and the gateway of a VLAN is on the interface of the same name
func TestLikeTheReference(t *testing.T) {
	t.Parallel()
	if !filters(t, nettest.Host(t), network("net", "10.1.0.10", "10.1.0.19", vlan(100))) {
		return
	}
	for name, keys := range likeReference() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reference := run(t, nettest.Program(t, "bridge"), keys.With(cni.Conf{"type": "bridge"}), "host-local")
			ours := run(t, nettest.Patchbay(t), keys, "patchbay")
			expect.Equal(t, "ours beside the reference's", ours, reference)
		})
	}
}

// run attaches a container with one of the two programs, and detaches it.
func run(t *testing.T, program string, keys cni.Conf, ipam string) seen {
	t.Helper()
	h := nettest.Host(t)
	h.NoOracle("the reference leaves addresses and chains")
	c := h.Container("c")
	config := network("net", "10.1.0.10", "10.1.0.19", keys)
	config["ipam"] = cni.Conf{"type": ipam, "subnet": "10.1.0.0/24", "dataDir": "/run/addresses"}
	call := cni.Call(t, "ADD", c, config)
	call.Plugin, call.Path = program, strings.TrimSuffix(nettest.Program(t, "host-local"), "/host-local")
	result := h.CNI(t, call).Result(t)
	port := result.Interfaces[1].Name
	s := seen{
		Filters: strings.Contains(h.Run(t, "ip", "-d", "link", "show", "cni0"), " vlan_filtering 1 "), VLANs: vlansOf(t, h, port),
		Isolated: strings.Contains(h.Run(t, "ip", "-d", "link", "show", port), " isolated on "),
	}
	for i, iface := range result.Interfaces {
		if i != 1 {
			s.Interfaces = append(s.Interfaces, iface.Name)
		}
	}
	for line := range strings.Lines(h.Run(t, "ip", "-o", "-4", "address")) {
		if fields := strings.Fields(line); strings.HasPrefix(fields[3], "10.1.0.1/") {
			s.Gateways = append(s.Gateways, fields[1])
		}
	}
	call = cni.Call(t, "DEL", c, config)
	call.Plugin, call.Path = program, strings.TrimSuffix(nettest.Program(t, "host-local"), "/host-local")
	h.CNI(t, call).OK(t)
	return s
}
