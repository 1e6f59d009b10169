package reported

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// The lists of three programs as they ship them, with the type "bridge" replaced by "patchbay". host-local, firewall and portmap
// are the reference's.
const (
	// Of Nomad (client/allocrunner/cni/bridge.go).
	nomadList = `{
		"cniVersion": "0.4.0", "name": "nomad", "plugins": [
			{"type": "loopback"},
			{
				"type": "patchbay", "bridge": "nomad", "ipMasq": true, "isGateway": true, "forceAddress": true, "hairpinMode": false,
				"ipam": {"type": "host-local", "ranges": [[{"subnet": "172.26.64.0/20"}], [{"subnet": "fd00:26::/64"}]], "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}
			},
			{"type": "firewall", "backend": "iptables", "iptablesAdminChainName": "NOMAD-ADMIN"},
			{"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}
		]
	}`
	// Of BuildKit (util/network/cniprovider/bridge.go).
	buildkitList = `{
		"cniVersion": "1.0.0", "name": "buildkit", "plugins": [
			{"type": "loopback"},
			{
				"type": "patchbay", "bridge": "buildkit0", "isDefaultGateway": true, "ipMasq": true,
				"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.10.0.0/16"}]]}
			},
			{"type": "firewall", "ingressPolicy": "same-bridge"}
		]
	}`
	// Of Apptainer (etc/network/00_bridge.conflist), behind the loopback that it runs first.
	apptainerList = `{
		"cniVersion": "1.0.0", "name": "bridge", "plugins": [
			{"type": "loopback"},
			{
				"type": "patchbay", "bridge": "sbr0", "isGateway": true, "ipMasq": true,
				"ipam": {"type": "host-local", "subnet": "10.22.0.0/16", "routes": [{"dst": "0.0.0.0/0"}]}
			},
			{"type": "firewall"},
			{"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}
		]
	}`
)

func shipped() []row {
	return []row{
		{"21.15", "Nomad's own list", ofPrev, shippedList(nomadList, "nomad", []string{"172.26.64.2/20", "fd00:26::2/64"}, "172.26.64.1")},
		{"21.16", "BuildKit's own list", ofPrev, shippedList(buildkitList, "buildkit0", []string{"10.10.0.2/16"}, "10.10.0.1")},
		{"21.17", "Apptainer's own list after loopback", ofPrev, shippedList(apptainerList, "sbr0", []string{"10.22.0.2/16"}, "10.22.0.1")},
	}
}

// shippedList runs a list with the reference's host-local, and with the built-in IPAM under its name.
func shippedList(text, bridge string, addresses []string, gateway string) func(*testing.T) {
	return func(t *testing.T) {
		for _, ipam := range []string{"host-local", "patchbay"} {
			h := nettest.Host(t)
			nettest.Need(t, nettest.Tool("iptables"))
			h.NoOracle("the reference firewall and portmap leave their chains")
			dir := pluginDir(t, "loopback", "host-local", "firewall", "portmap")
			l := newListOf(t, h, dir, []byte(strings.ReplaceAll(text, `"host-local"`, `"`+ipam+`"`)))
			l.runtime.CapabilityArgs = map[string]any{"portMappings": []map[string]any{{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}}}
			r := l.add(t)
			expect.Equal(t, "interfaces", namesOf(r), []string{bridge, "veth", "eth0@", "lo@"})
			expect.Equal(t, "addresses", addressesOf(r), addresses)
			ping(t, l.c, gateway)
			expect.Equal(t, "CHECK", l.check(), nil)
			rules := h.Run(t, "iptables-save")
			expect.Contains(t, rules, "-s "+strings.Split(addresses[0], "/")[0]+"/32")
			expect.Equal(t, "rules for lo", strings.Contains(rules, "127.0.0.1/32 -j ACCEPT"), false)
			l.del(t)
			expect.Equal(t, "ports after DEL", h.Run(t, "ip", "-br", "link", "show", "master", bridge), "")
			expect.Equal(t, "records after DEL", recordsOf(h), 0)
		}
	}
}
