package firewall_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Tables of iptables-legacy are read if they are in use. Reading does not create one.
//
// Claim: What other packet filters would drop is reported with table, chain, rule and the command that fixes it, and agrees with what
// happens to real connections
func TestDropsOfLegacyTables(t *testing.T) {
	nettest.Need(t, nettest.Tool("iptables-legacy"), nettest.Tool("ip6tables-legacy"))
	b := firewall.Bridge{Name: "cni0", Uplink: "eth0", IPv4: true, IPv6: true, Routed: true}
	for _, tc := range []struct {
		name     string
		commands []string
		want     []string
	}{
		{"not in use", nil, nil},
		{"another table", []string{"iptables-legacy -t nat -P OUTPUT ACCEPT"}, nil},
		{"tables listed before", []string{"iptables-legacy -S", "ip6tables-legacy -S"}, nil},
		{"drops in INPUT", []string{"iptables-legacy -P INPUT DROP", "iptables-legacy -A INPUT -j DROP"}, nil},
		{"policy drop", []string{"iptables-legacy -P FORWARD DROP", "iptables-legacy -A INPUT -i lo -j ACCEPT", "iptables-legacy -A OUTPUT -o lo -j ACCEPT"}, []string{
			"chain FORWARD of table ip filter (iptables-legacy) drops IPv4 packets from containers: policy drop",
			"chain FORWARD of table ip filter (iptables-legacy) drops IPv4 replies to containers: policy drop",
		}},
		{"policy drop and rules", []string{"ip6tables-legacy -P FORWARD DROP", "ip6tables-legacy -A FORWARD -i cni+ -p tcp -m tcp -m comment --comment x -j ACCEPT", "ip6tables-legacy -A FORWARD -o lo -j ACCEPT"}, []string{
			"chain FORWARD of table ip6 filter (iptables-legacy) drops IPv6 replies to containers: policy drop",
		}},
		{"chains", []string{
			"iptables-legacy -N a", "iptables-legacy -N b", "iptables-legacy -A a -j RETURN", "iptables-legacy -A b ! -i cni0", "iptables-legacy -A b ! -i lo -m conntrack --ctstate NEW -j REJECT",
			"iptables-legacy -A FORWARD -s 10.0.0.0/8 ! -d 10.0.0.0/8", "iptables-legacy -A FORWARD -j a", "iptables-legacy -A FORWARD -p udp -j DROP", "iptables-legacy -A FORWARD -s 192.0.2.0/24 -j DROP", "iptables-legacy -A FORWARD -g b", "iptables-legacy -A FORWARD -j DROP",
		}, []string{
			"chain b of table ip filter (iptables-legacy) drops IPv4 packets from containers: rule 2: iifname != \"lo\" -m conntrack reject",
		}},
		{"drops all but one subnet", []string{"iptables-legacy -A FORWARD ! -s 10.88.0.0/16 -j DROP"}, []string{
			"chain FORWARD of table ip filter (iptables-legacy) may drop IPv4 packets from containers: rule 1: ... drop",
			"chain FORWARD of table ip filter (iptables-legacy) may drop IPv4 replies to containers: rule 1: ... drop",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			for _, command := range tc.commands {
				h.Run(t, "sh", "-c", command)
			}
			names := func() string { return h.Run(t, "cat", "/proc/net/ip_tables_names", "/proc/net/ip6_tables_names") }
			before := names()
			got := drops(t, h, b)
			if diff := cmp.Diff(tc.want, sentences(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, names()); diff != "" {
				t.Errorf("reading created a table (-before +after):\n%s", diff)
			}
			for _, d := range got {
				if !strings.Contains(d.Fix, "tables-legacy -") {
					t.Errorf("fix: %s", d.Fix)
				}
			}
			runFixes(t, h, got)
			if diff := cmp.Diff([]string(nil), sentences(drops(t, h, b))); diff != "" {
				t.Errorf("after the fix (-want +got):\n%s", diff)
			}
		})
	}
}
