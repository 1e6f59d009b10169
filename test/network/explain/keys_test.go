package explain

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestScriptsOfKeys compares as TestScriptsMakeWhatADDMakes does, for keys that no file of conf/ has.
//
// Claim: The script of `patchbay explain` makes in the kernel what ADD makes, for every file of `conf/`
func TestScriptsOfKeys(t *testing.T) {
	ranges := func(subnets ...string) map[string]any {
		sets := [][]map[string]string{}
		for _, s := range subnets {
			sets = append(sets, []map[string]string{{"subnet": s}})
		}
		return map[string]any{"type": "patchbay", "ranges": sets}
	}
	for name, keys := range map[string]map[string]any{
		"bandwidth":  {"ipam": ranges("10.96.0.0/24"), "runtimeConfig": map[string]any{"bandwidth": map[string]any{"ingressRate": 10000000, "ingressBurst": 2000000, "egressRate": 1000000, "egressBurst": 400000}}},
		"shaped":     {"ipam": ranges("10.96.0.0/24", "fd00:96::/64"), "runtimeConfig": map[string]any{"bandwidth": map[string]any{"ingressRate": 10000000, "ingressBurst": 2000000, "egressRate": 3000000000, "egressBurst": 400000, "shapedSubnets": []string{"192.0.2.0/25", "2001:db8::/33", "0.0.0.0/0"}}}},
		"unshaped":   {"ipam": ranges("10.96.0.0/24"), "runtimeConfig": map[string]any{"bandwidth": map[string]any{"ingressRate": 800000000, "ingressBurst": 2000000, "egressRate": 1000000, "egressBurst": 400000, "unshapedSubnets": []string{"192.0.2.128/25", "2001:db8:1:2:3::/77"}}}},
		"tuning":     {"ipam": ranges("10.96.0.0/24"), "sysctl": map[string]string{"net.core.somaxconn": "321", "net.ipv4.conf.IFNAME.arp_filter": "1"}, "promisc": true, "allmulti": true, "txQLen": 77},
		"port flags": {"ipam": ranges("10.96.0.0/24", "fd00:96::/64"), "portIsolation": true, "stpGuard": false, "promiscMode": true},
		"short MTU":  {"ipam": ranges("10.96.0.0/24"), "mtu": 1200},
		"DAD":        {"ipam": ranges("fd00:96::/64"), "enabledad": true},
		"single":     {"ipam": map[string]any{"type": "patchbay", "ranges": []any{[]any{map[string]string{"subnet": "10.96.0.7/32", "gateway": "10.96.1.1"}}}}},
		"routes": {"ipam": map[string]any{"type": "patchbay", "ranges": ranges("10.96.0.0/24", "fd00:96::/64")["ranges"], "routes": []map[string]any{
			{"dst": "198.51.100.0/24", "gw": "10.96.0.254", "priority": 7},
			{"dst": "10.96.0.0/24", "scope": 253},
			{"dst": "203.0.113.0/24", "scope": 253},
			{"dst": "2001:db8:5::/48", "priority": 9, "mtu": 1400},
			{"dst": "198.51.100.0/25", "table": 5000},
		}}},
		"outbound": {"ipam": ranges("10.96.0.0/24", "fd00:96::/64"), "ipMasq": true, "outboundAddr4": "192.0.2.10", "ingressPolicy": "same-bridge"},
		"docker":   {"ipam": ranges("10.96.0.0/24", "fd00:96::/64"), "firewall": "auto"},
		"vlan":     {"ipam": ranges("10.96.0.0/24", "fd00:96::/64"), "vlan": 100, "ipMasq": true},
		"trunk":    {"ipam": ranges("10.96.0.0/24"), "vlanTrunk": []map[string]int{{"id": 10}, {"minID": 20, "maxID": 30}}, "preserveDefaultVlan": true},
		"native":   {"ipam": ranges("10.96.0.0/24"), "vlan": 5, "vlanTrunk": []map[string]int{{"id": 7}}},
		"tap":      {"ipam": ranges("10.96.0.0/24", "fd00:96::/64"), "ipMasq": true, "tap": map[string]any{"owner": 12345, "group": 7}},
		"queues":   {"ipam": ranges("10.96.0.0/24"), "mtu": 1200, "tap": map[string]any{"name": "guest0", "group": 7, "multiQueue": true}},
		"sbr":      {"ipam": ranges("10.96.0.0/24", "fd00:96::/64"), "sbr": true},
		"hints":    {"ipam": ranges("10.96.0.0/24"), "isDefaultGateway": false, "sbr": map[string]any{"addSourceHints": true, "gateways": []string{"10.96.0.254"}}},
		"shared":   {"ipam": ranges("10.96.0.0/24"), "sbr": map[string]any{"table": 500}},
		"disabled": {"disableContainerInterface": true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, text := listWith(t, keys)
			if strings.Contains(string(text), `"vlan`) && !nettest.Has(nettest.VLANFiltering) {
				c.machine(t).refused(t, []string{"no VLAN filtering in this kernel"}, "explain", "net", "-o", "sh")
				return
			}
			c.compare(t)
		})
	}
}

// listWith writes a network with further keys.
func listWith(t *testing.T, keys map[string]any) (c conflist, text []byte) {
	t.Helper()
	plugin := map[string]any{"type": "patchbay", "bridge": "cni0", "isDefaultGateway": true}
	maps.Copy(plugin, keys)
	if _, set := keys["disableContainerInterface"]; set {
		delete(plugin, "isDefaultGateway")
	}
	text, err := json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": "net", "plugins": []any{plugin}})
	if err != nil {
		t.Fatal(err)
	}
	c = conflist{path: filepath.Join(t.TempDir(), "net.conflist")}
	if keys["firewall"] == "auto" { // docker's chain, as docker makes it
		c.prepare = "iptables -N DOCKER-USER && ip6tables -N DOCKER-USER && iptables -A DOCKER-USER -j RETURN"
	}
	if err := os.WriteFile(c.path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c, text
}
