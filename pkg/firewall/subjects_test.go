package firewall_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// populated returns a bridge with three containers, 10.88.0.2 to 10.88.0.4, of which the second publishes 8080/tcp and
// 5300/udp; the host is their gateway and name server.
func populated() firewall.Bridge {
	b := firewall.Bridge{
		Name: "cni0", Uplink: "eth0", IPv4: true, IPv6: true, Routed: true, Published: true,
		Gateways: []netip.Addr{netip.MustParseAddr("10.88.0.1"), netip.MustParseAddr("fd00:88::1")},
		Host4:    netip.MustParseAddr("192.0.2.1"), Host6: netip.MustParseAddr("2001:db8::1"),
		Services: []firewall.Service{{Addr: netip.MustParseAddr("10.88.0.1"), Protocol: unix.IPPROTO_UDP, Port: 53}},
	}
	for i := range 3 {
		for _, text := range []string{fmt.Sprintf("10.88.0.%d", i+2), fmt.Sprintf("fd00:88::%d", i+2)} {
			addr := netip.MustParseAddr(text)
			b.Addresses = append(b.Addresses, firewall.Subject{Attachment: i, Addr: addr})
			if i == 1 {
				b.Ports = append(b.Ports, firewall.Subject{Attachment: i, Addr: addr, Protocol: unix.IPPROTO_TCP, HostPort: 8080, ContainerPort: 80})
				b.Ports = append(b.Ports, firewall.Subject{Attachment: i, Addr: addr, Protocol: unix.IPPROTO_UDP, HostPort: 5300, ContainerPort: 53})
			}
		}
	}
	return b
}

// verdictsOf returns what is dropped, with whose it is: "packets from containers 10.88.0.2/4", "... 10.88.0.3:8080".
func verdictsOf(all []firewall.Drop) string {
	var words []string
	for _, d := range all {
		word := d.What.String()
		if d.About.Addr.IsValid() {
			word += " " + d.About.Addr.String()
		}
		if d.About.HostPort != 0 {
			word += fmt.Sprintf(" port %d", d.About.HostPort)
		}
		switch {
		case d.Translated:
			word += " translated"
		case d.Untracked:
			word += " untracked"
		}
		if !d.Certain {
			word += "?"
		}
		words = append(words, word)
	}
	return strings.Join(words, "\n")
}

const (
	replying  = "replies of containers to the host"
	resolving = "neighbour solicitations of containers for their gateway"
	pinging   = "echo requests of containers to their gateway"
	asking    = "requests of containers to a service of the host"
	arriving  = "connections to published ports before translation"
)

func lines(words ...string) string { return strings.Join(words, "\n") }

// at returns a table with a base chain of a hook.
func at(hook, policy, rules string, more ...string) string {
	return "table inet other {\n" + strings.Join(more, "\n") + "\nchain c { type filter hook " + hook + "; policy " + policy + ";\n" + rules + "\n}\n}\n"
}

func nat(priority, rules string) string {
	return "table ip other {\nchain c { type nat hook prerouting priority " + priority + ";\n" + rules + "\n}\n}\n"
}

// subjectRules are rules for single addresses and ports in the forward hook.
func subjectRules() []ruled {
	const first, second, third = " 10.88.0.2", " 10.88.0.3", " 10.88.0.4"
	port80, port53 := published+second+" port 8080", published+second+" port 5300"
	return []ruled{
		{"no rule for these", at("forward priority 0", "accept", "ip saddr 10.88.0.99 drop; tcp dport 25 drop; ip daddr 203.0.113.0/24 drop; ip saddr 203.0.113.9 drop; udp dport 5353 drop"), ""},
		{"one source", at("forward priority 0", "accept", "ip saddr 10.88.0.3 drop"), lines(leaving+second, port80, port53)},
		{"one destination", at("forward priority 0", "accept", "ip daddr 10.88.0.4 drop"), returning + third},
		{"two addresses of a set", at("forward priority 0", "accept", "ip saddr { 10.88.0.2, 10.88.0.4, 10.1.1.1 } drop"), lines(leaving+first, leaving+third)},
		{"a range", at("forward priority 0", "accept", "ip saddr 10.88.0.4-10.88.0.200 drop"), leaving + third},
		{"a set of ranges", at("forward priority 0", "accept", "ip saddr @bad drop", "set bad { type ipv4_addr; flags interval; elements = { 10.0.0.0/24, 10.88.0.4/30, 192.0.2.0/24 } }"), leaving + third},
		{"the subnet", at("forward priority 0", "accept", "ip saddr 10.88.0.0/16 drop"), lines(leaving+first, leaving+second, leaving+third, port80, port53)},
		{"all but the subnet", at("forward priority 0", "accept", "meta nfproto ipv4 ip saddr != 10.88.0.0/16 ip daddr != 10.88.0.0/16 drop"), ""},
		{"the subnets are accepted", at("forward priority 0", "drop", "ip saddr 10.88.0.0/16 accept; ip daddr 10.88.0.0/16 accept; ip6 saddr fd00:88::/64 accept; ip6 daddr fd00:88::/64 accept"), ""},
		{"the container's port", at("forward priority 0", "accept", `oifname "cni0" tcp dport 80 drop`), lines(port80, published+" fd00:88::3 port 8080")},
		{"the container's port and address", at("forward priority 0", "accept", "ip daddr 10.88.0.3 tcp dport 80 reject"), port80},
		{"another port of the container", at("forward priority 0", "accept", "ip daddr 10.88.0.3 tcp dport 81 reject; ip daddr 10.88.0.3 udp dport 80 reject"), ""},
		{"the original port", at("forward priority 0", "accept", "meta nfproto ipv4 meta l4proto udp ct original proto-dst 5300 drop"), port53},
		{"a port of a map", at("forward priority 0", "accept", "ip daddr . meta l4proto . th dport vmap { 10.88.0.3 . udp . 53 : drop, 10.88.0.4 . udp . 53 : drop }"), port53},
		{"replies of a port", at("forward priority 0", "accept", "ip saddr 10.88.0.3 tcp sport 80 drop"), port80},
		{"a protocol", at("forward priority 0", "accept", "meta nfproto ipv4 meta l4proto udp drop"), published},
	}
}

// hostRules are rules of the input and prerouting hooks.
func hostRules() []ruled {
	const port = arriving + " 10.88.0.3 port 8080"
	return []ruled{
		{"INPUT accepts what is needed", at("input priority 0", "drop", "ct state established,related accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; icmp type echo-request accept; icmpv6 type echo-request accept; udp dport 53 accept"), ""},
		{"INPUT drops", at("input priority 0", "drop", "tcp dport 22 accept; iifname lo accept"), lines(replying, pinging, asking, pinging, resolving)},
		{"INPUT drops pings and DNS", at("input priority 0", "drop", "ct state established,related accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"), lines(pinging, asking, pinging)},
		{"INPUT accepts the subnets", at("input priority 0", "drop", "ip saddr 10.88.0.0/16 accept; iifname cni0 meta nfproto ipv6 accept"), ""},
		{"INPUT drops what one container sends", at("input priority 0", "accept", "ip saddr 10.88.0.2 drop"), lines(replying+" 10.88.0.2", pinging+" 10.88.0.2", asking+" 10.88.0.2")},
		{"INPUT of another interface", at("input priority 0", "accept", "iifname eth0 drop; fib daddr type != { local, multicast } drop; ct state invalid drop; oifname eth0 drop"), ""},
		{"a rule before conntrack drops a port", at("prerouting priority raw", "accept", "ip daddr 192.0.2.1 tcp dport 8080 drop"), port},
		{"a rule before conntrack drops another port", at("prerouting priority raw", "accept", "ip daddr 192.0.2.1 tcp dport 80 drop; ip daddr 192.0.2.2 tcp dport 8080 drop"), ""},
		{"a rule after the translation", at("prerouting priority 0", "accept", "ip daddr 10.88.0.3 tcp dport 80 drop; tcp dport 8080 drop"), port},
		{"notrack", at("prerouting priority raw", "accept", "meta nfproto ipv4 tcp dport 8080 notrack"), port + " untracked"},
		{"notrack of another port", at("prerouting priority raw", "accept", "tcp dport 80 notrack; udp dport 8080 notrack"), ""},
		{"dnat before", nat("-110", "tcp dport 8080 dnat to 10.9.9.9:80"), port + " translated"},
		{"dnat at the same priority", nat("dstnat", "fib daddr type local tcp dport 8080 dnat to 10.9.9.9:80"), port + " translated?"},
		{"dnat after", nat("-90", "tcp dport 8080 dnat to 10.9.9.9:80"), ""},
		{"dnat of another port", nat("-110", "tcp dport { 80, 443 } dnat to 10.9.9.9:80; ip daddr 192.0.2.77 tcp dport 8080 dnat to 10.9.9.9"), ""},
		{"redirect", nat("-110", `iifname "eth0" tcp dport 8000-8100 redirect to :9000`), port + " translated"},
		{"invalid is dropped before conntrack by none", at("prerouting priority mangle", "accept", "ct state invalid drop; fib saddr . iif oif missing drop"), ""},
	}
}

// Drops also finds rules for single addresses and ports, at the input hook, and at prerouting.
//
// Claim: A rule of another packet filter for one address, one published port or a part of a subnet is found, with the attachments that it
// concerns, and so is one at the input hook or at prerouting; rules for other addresses and ports are not reported
func TestDropsOfSubjects(t *testing.T) {
	for _, tc := range append(subjectRules(), hostRules()...) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			h.Bridge("cni0")
			load(t, h, tc.rules)
			got := drops(t, h, populated())
			if diff := cmp.Diff(tc.want, verdictsOf(got)); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, strings.Join(sentences(got), "\n"))
			}
			fixAll(t, h, got)
			if left := drops(t, h, populated()); len(left) > 0 {
				t.Errorf("after the fixes: %s", verdictsOf(left))
			}
		})
	}
}

// fixAll runs the fixes, also those behind a colon of a comment.
func fixAll(t *testing.T, h *nettest.Node, all []firewall.Drop) {
	t.Helper()
	for _, line := range firewall.Fixes(all) {
		if text, isComment := strings.CutPrefix(line, "# "); isComment {
			_, line, _ = strings.Cut(text, ": ")
		}
		h.Run(t, "sh", "-c", line)
	}
}

// The same rules of iptables: its matches for ports and addresses are decoded by this package.
//
// Claim: A rule of another packet filter for one address, one published port or a part of a subnet is found, with the attachments that it
// concerns, and so is one at the input hook or at prerouting; rules for other addresses and ports are not reported
func TestDropsOfSubjectsInIptables(t *testing.T) {
	port80, port53 := published+" 10.88.0.3 port 8080", published+" 10.88.0.3 port 5300"
	const arrives = arriving + " 10.88.0.3 port 8080"
	for _, tc := range []ruled{
		{"a source", "-I FORWARD -s 10.88.0.2 -j DROP", leaving + " 10.88.0.2"},
		{"tcp port", "-I FORWARD -p tcp --dport 80 -j DROP", port80},
		{"udp ports", "-I FORWARD -p udp --dport 50:60 -j REJECT", port53},
		{"not that port, but that of the replies", "-I FORWARD -p udp ! --dport 53 -j DROP", published + "?"},
		{"multiport", "-I FORWARD -d 10.88.0.3 -p tcp -m multiport --dports 22,79:81 -j DROP", port80},
		{"other multiport", "-I FORWARD -d 10.88.0.3 -p tcp -m multiport --dports 22,81:99 -j DROP", ""},
		{"original port", "-I FORWARD -p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL -j DROP", port80},
		{"other original port", "-I FORWARD -p tcp -m conntrack --ctorigdstport 80 -j DROP", ""},
		{"established is not accepted", "-P INPUT DROP; -A INPUT -p icmp --icmp-type echo-request -j ACCEPT; -A INPUT -p udp --dport 53 -j ACCEPT", replying},
		{"pings", "-A INPUT -p icmp -j DROP", pinging},
		{"raw drop", "-t raw -A PREROUTING -p tcp --dport 8080 -j DROP", arrives},
		{"raw notrack", "-t raw -A PREROUTING -p tcp --dport 8080 -j CT --notrack", arrives + " untracked"},
		{"raw zone", "-t raw -A PREROUTING -p tcp --dport 8080 -j CT --zone 7", ""},
		{"mangle drop", "-t mangle -A PREROUTING -d 192.0.2.1 -p tcp --dport 8080 -j DROP", arrives},
		{"dnat", "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 8080 -j DNAT --to-destination 10.9.9.9:80", arrives + " translated?"},
		{"redirect", "-t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 9000", arrives + " translated?"},
		{"dnat of another port", "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 80 -j DNAT --to-destination 10.9.9.9:80", ""},
	} {
		for _, program := range []string{"iptables", "iptables-legacy"} {
			t.Run(program+"/"+tc.name, func(t *testing.T) {
				t.Parallel()
				h := host(t)
				nettest.Need(t, nettest.Tool(program))
				h.Bridge("cni0")
				for rule := range strings.SplitSeq(tc.rules, "; ") {
					h.Run(t, program, strings.Fields(rule)...)
				}
				got := drops(t, h, populated())
				if diff := cmp.Diff(tc.want, verdictsOf(got)); diff != "" {
					t.Errorf("(-want +got):\n%s\n%s", diff, strings.Join(sentences(got), "\n"))
				}
				fixAll(t, h, got)
				if left := drops(t, h, populated()); len(left) > 0 {
					t.Errorf("after the fixes: %s", verdictsOf(left))
				}
			})
		}
	}
}
