package firewall_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
)

// forward is a hand-written chain of the forward hook, with more before it.
func forward(policy, rules string, more ...string) string {
	return "table inet filter {\n" + strings.Join(more, "\n") + "\nchain forward { type filter hook forward priority filter; policy " + policy + ";\n" + rules + "\n}\n}\n"
}

const (
	leaving    = "packets from containers"
	returning  = "replies to containers"
	published  = "connections to published ports"
	neighbours = "packets between containers of the bridge"
)

// verdicts returns the kinds of packets that are dropped: "kind" if certain, "kind?" if not; "kind/4" or
// "kind/6" if one version of IP is dropped.
func verdicts(all []firewall.Drop) string {
	var words []string
	for _, d := range all {
		word := d.What.String()
		if !d.IPv6 {
			word += "/4"
		}
		if !d.IPv4 {
			word += "/6"
		}
		if !d.Certain {
			word += "?"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func kinds(words ...string) string { return strings.Join(words, ", ") }

// ruled is a ruleset, and the packets of a bridge that it drops.
type ruled struct{ name, rules, want string }

// chainRules are about hooks, states, interfaces and jumps.
func chainRules() []ruled {
	all := kinds(leaving, returning, published, neighbours)
	return []ruled{
		{"no rules", "", ""},
		{"policy accept", forward("accept", ""), ""},
		{"policy drop", forward("drop", ""), all},
		{"another hook", strings.ReplaceAll(forward("drop", ""), "hook forward", "hook input"), ""},
		{"our own table", strings.ReplaceAll(forward("drop", ""), "inet filter", "inet patchbay"), ""},
		{"table of our name in family ip", strings.ReplaceAll(forward("drop", ""), "inet filter", "ip patchbay"), kinds(leaving+"/4", returning+"/4", published+"/4", neighbours+"/4")},
		{"two chains, the second drops", forward("accept", "accept", "chain late { type filter hook forward priority 10; policy drop; }"), all},
		{"reject at the end", forward("accept", `iifname "lo" accept; reject with icmpx admin-prohibited`), all},
		{"established", forward("drop", "ct state established,related accept"), kinds(leaving, published, neighbours)},
		{"a set of states", forward("drop", "ct state { established, related } accept"), kinds(leaving, published, neighbours)},
		{"a map of states", forward("drop", "ct state vmap { established : accept, related : accept, invalid : drop }"), kinds(leaving, published, neighbours)},
		{"new", forward("drop", "ct state new accept"), kinds(returning, published, neighbours)},
		{"not new", forward("drop", "ct state != new accept"), kinds(leaving, published, neighbours)},
		{"invalid", forward("accept", "ct state invalid drop"), ""},
		{"new is accepted, untracked neighbour solicitations are not", forward("drop", "ct state established,related,new accept"), neighbours + "/6"},
		{"untracked", forward("accept", "ct state untracked drop"), neighbours + "/6"},
		{"new and neighbour discovery are accepted", forward("drop", "ct state established,related,new accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"), ""},
		{"dnat", forward("drop", "ct status dnat accept"), kinds(leaving, returning, neighbours)},
		{"not dnat", forward("accept", `oifname "cni0" ct state new ct status & dnat == 0 drop`), neighbours},
		{"status snat, which a reply may have", forward("drop", "ct status snat accept"), kinds(leaving, returning+"?", published, neighbours)},
		{"original direction", forward("drop", "ct direction original accept"), kinds(returning, published, neighbours)},
		{"from the bridge", forward("drop", `iifname "cni0" accept`), kinds(returning, published)},
		{"to the bridge", forward("drop", `oifname "cni0" accept`), kinds(leaving, published)},
		{"from interfaces whose name starts with cni", forward("drop", `iifname "cni*" accept`), kinds(returning, published)},
		{"from interfaces with similar names", forward("drop", `iifname "cni00" accept; iifname "cn" accept; iifname "cni0x*" accept`), all},
		{"from all other interfaces", forward("drop", `iifname != "cni0" accept`), kinds(leaving, published, neighbours)},
		{"a set of links", forward("drop", `iifname { "lo", "cni0" } accept; oifname { "docker0" } accept`), kinds(returning, published)},
		{"not in a set of links", forward("drop", `iifname != { "lo", "cni0" } accept`), kinds(leaving, published, neighbours)},
		{"a set of names with a star", forward("drop", `iifname { "veth*", "cni*" } accept`), kinds(returning, published)},
		{"a named set, empty", forward("drop", `iifname @trusted accept`, "set trusted { type ifname; }"), all},
		{"two links", forward("drop", `iifname . oifname { "cni0" . "eth0", "eth0" . "cni0" } accept`), neighbours},
		{"two links in a map", forward("drop", `iifname . oifname vmap { "cni0" . "eth0" : jump out, "eth0" . "cni0" : goto in }`, "chain out { accept; }", "chain in { ct state established accept; }"), kinds(published, neighbours)},
		{"the uplink", forward("drop", `oifname "eth0" accept; iifname "eth0" accept`), neighbours},
		{"a link's kind", forward("drop", `meta iifkind "bridge" accept; iiftype != ether counter`), kinds(returning+"?", published+"?")},
		{"jump and return", forward("drop", "jump one; accept", "chain two { return; drop; }", "chain one { jump two; return; drop; }"), ""},
		{"goto does not return", forward("drop", "goto one; accept", "chain one { return; }"), all},
		{"goto within a jump returns to the caller", forward("drop", "jump one; accept", "chain two { return; }", "chain one { goto two; drop; }"), ""},
		{"return in the base chain: the policy decides", forward("drop", "return; accept"), all},
		{"continue in a map: the rule continues", forward("drop", `iifname vmap { "cni0" : continue, "eth0" : drop } accept`), kinds(returning, published)},
		{"key that is not in the map: the rule ends", forward("drop", `iifname vmap { "lo" : continue } accept`), all},
	}
}

// packetRules are about families, ports, addresses, marks and expressions that are not implemented.
func packetRules() []ruled {
	all := kinds(leaving, returning, published, neighbours)
	perhaps := kinds(leaving+"?", returning+"?", published+"?", neighbours+"?")
	each := kinds(leaving+"/4?", returning+"/4?", published+"/4?", neighbours+"/4?", leaving+"/6?", returning+"/6?", published+"/6?", neighbours+"/6?")
	return []ruled{
		{"of IPv4", forward("drop", "meta nfproto ipv4 accept"), kinds(leaving+"/6", returning+"/6", published+"/6", neighbours+"/6")},
		{"TCP is accepted", forward("drop", "meta l4proto tcp accept; icmpv6 type nd-neighbor-solicit accept"), ""},
		{"other than TCP", forward("drop", "meta l4proto { udp, icmp, ipv6-icmp } accept; udp dport 53 accept; icmp type echo-request accept"), all},
		{"some port is dropped", forward("accept", "tcp dport 25 drop; tcp dport { 137, 138 } reject; tcp dport 6000-6100 drop"), ""},
		{"some address is dropped", forward("accept", "ip saddr 198.51.100.0/24 drop; ip6 daddr { 2001:db8::/64, 2001:db8:1::-2001:db8:1::7 } drop; ip daddr @bad drop; ip saddr . tcp dport { 192.0.2.1 . 25 } drop", "set bad { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 } }"), ""},
		{"some port is accepted", forward("drop", "tcp dport { 80, 443 } accept"), kinds(leaving+"?", returning+"?", published+"?", neighbours+"/4?", neighbours+"/6")},
		{"some address is accepted", forward("drop", "ip saddr 10.88.0.0/16 accept; ip6 saddr fd00:88::/64 accept"), perhaps},
		{"all but some address is dropped", forward("accept", "meta nfproto ipv4 ip saddr != 10.88.0.0/16 drop; ip6 saddr != fd00:88::/64 drop"), each},
		{"some addresses of the bridge", forward("drop", `iifname . ip saddr { "cni0" . 10.88.0.2, "cni1" . 10.88.0.3 } accept`), kinds(leaving+"/4?", returning, published, neighbours+"/4?", leaving+"/6", neighbours+"/6")},
		{"ranges of two", forward("drop", `iifname . ip saddr { "cni0" . 10.88.0.0-10.88.0.9 } accept`), kinds(leaving+"/4?", returning, published, neighbours+"/4?", leaving+"/6", neighbours+"/6")},
		{"no mark", forward("drop", "meta mark 0 ct mark 0 accept"), neighbours + "/6"},
		{"a mark", forward("drop", "meta mark & 0x4000 == 0x4000 accept; ct mark 7 accept; meta mark > 5 accept"), all},
		{"a mark that a rule sets", forward("drop", "meta mark set 7; meta mark 7 accept"), perhaps},
		{"limit before accept", forward("drop", "limit rate 5/second accept"), ""},
		{"limit over before drop", forward("accept", "limit rate over 5/second drop"), ""},
		{"neither end is the host", forward("drop", "fib daddr type local accept; fib saddr type { broadcast, multicast } accept"), all},
		{"match that is not implemented", forward("accept", "meta cpu 0 drop"), perhaps},
		{"not implemented, but the policy drops in any case", forward("drop", "meta cpu 0 drop; meta cpu 1 return"), all},
		{"not implemented, without effect on the verdict", forward("accept", "meta cpu 0 counter; meta cpu 1 accept; meta cpu 2 jump logs", `chain logs { log prefix "x"; counter; }`), ""},
		{"random", forward("drop", "numgen random mod 2 vmap { 0 : accept, 1 : drop }"), perhaps},
	}
}

// Drops returns what a ruleset drops of a bridge's packets.
//
// Claim: What other packet filters would drop is reported with table, chain, rule and the command that fixes it, and agrees with what
// happens to real connections
func TestDrops(t *testing.T) {
	for _, tc := range append(chainRules(), packetRules()...) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			h.Bridge("cni0")
			load(t, h, tc.rules)
			got := drops(t, h, usual())
			if diff := cmp.Diff(tc.want, verdicts(got)); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, strings.Join(sentences(got), "\n"))
			}
		})
	}
}

// Only the kinds of packets that the bridge needs are evaluated.
func TestDropsOfNeededPackets(t *testing.T) {
	h := host(t)
	load(t, h, forward("drop", ""))
	for _, tc := range []struct {
		bridge firewall.Bridge
		want   string
	}{
		{firewall.Bridge{Name: "cni0", IPv4: true, IPv6: true}, ""},
		{firewall.Bridge{Name: "cni0", Routed: true, Published: true, NFCall4: true, NFCall6: true}, ""},
		{firewall.Bridge{Name: "cni0", IPv4: true, Routed: true}, kinds(leaving+"/4", returning+"/4")},
		{firewall.Bridge{Name: "cni0", IPv6: true, Published: true, NFCall4: true}, published + "/6"},
		{firewall.Bridge{Name: "cni0", IPv4: true, IPv6: true, NFCall6: true}, neighbours + "/6"},
	} {
		if got := verdicts(drops(t, h, tc.bridge)); got != tc.want {
			t.Errorf("%+v: got %s, want %s", tc.bridge, got, tc.want)
		}
	}
}

// Without a default route the output interface is unknown: a rule for one interface does not decide.
func TestDropsWithoutUplink(t *testing.T) {
	h := host(t)
	load(t, h, forward("accept", `oifname "docker0" drop; iifname "docker0" drop`))
	b := firewall.Bridge{Name: "cni0", IPv4: true, Routed: true}
	if got := verdicts(drops(t, h, b)); got != "" {
		t.Errorf("drops for one link: %s", got)
	}
	load(t, h, "flush ruleset; "+forward("drop", `oifname "eth0" accept`))
	if got, want := verdicts(drops(t, h, b)), kinds(leaving+"/4?", returning+"/4"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Rules that compare the index of an interface: the current index counts.
func TestDropsByIndex(t *testing.T) {
	h := host(t)
	h.Bridge("cni0")
	h.Bridge("other")
	h.Bridge("eth0")
	load(t, h, forward("drop", `iif "cni0" accept; oif "other" accept`))
	if got, want := verdicts(drops(t, h, usual())), kinds(returning, published); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The text of a drop names table, chain and rule, and prints the parts of the rule that are known.
//
// Claim: What other packet filters would drop is reported with table, chain, rule and the command that fixes it, and agrees with what
// happens to real connections
func TestDropsSays(t *testing.T) {
	h := host(t)
	load(t, h, forward("drop", `iifname "cni0" jump deny`, `chain deny { counter; iifname "cni0" oifname != "lo" ct state new,invalid meta mark 0 ip protocol tcp reject comment "added by hand"; }`))
	got := drops(t, h, firewall.Bridge{Name: "cni0", Uplink: "eth0", IPv4: true, Routed: true})
	want := []string{
		`chain deny of table inet filter drops IPv4 packets from containers: rule 2 (handle 4): iifname "cni0" oifname != "lo" ct state invalid,new ... reject comment "added by hand"`,
		"chain forward of table inet filter drops IPv4 replies to containers: policy drop",
	}
	if diff := cmp.Diff(want, sentences(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The commands that fix a drop. TestDropsIsWhatHappens runs those of programs that are installed.
//
// Claim: What other packet filters would drop is reported with table, chain, rule and the command that fixes it, and agrees with what
// happens to real connections
func TestDropsFix(t *testing.T) {
	const ctstate = " -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT"
	for name, tc := range map[string]struct {
		rules string
		want  []string
	}{
		"table of another program": {forward("drop", ""), []string{
			`nft 'insert rule inet filter forward iifname "cni0" accept'`,
			`nft 'insert rule inet filter forward oifname "cni0" ct state established,related accept'`,
			`nft 'insert rule inet filter forward oifname "cni0" ct status dnat accept'`,
		}},
		"chain FORWARD of iptables": {iptablesForward(""), []string{"iptables -I FORWARD -i cni0 -j ACCEPT", "iptables -I FORWARD -o cni0" + ctstate}},
		"DOCKER-USER without jump":  {iptablesForward("chain DOCKER-USER { }"), []string{"iptables -I FORWARD -i cni0 -j ACCEPT", "iptables -I FORWARD -o cni0" + ctstate}},
		"docker":                    {iptablesForward("chain DOCKER-USER { }") + "add rule ip filter FORWARD counter jump DOCKER-USER\n", []string{"iptables -I DOCKER-USER -i cni0 -j ACCEPT", "iptables -I DOCKER-USER -o cni0" + ctstate}},
		"ufw": {iptablesForward("chain ufw-before-forward { }"), []string{
			"ufw route allow in on cni0",
			`sed -i 's/^\(-A ufw6\?-before-forward\) -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT$/&\n\1 -o cni0` + ctstate + `/' /etc/ufw/before.rules /etc/ufw/before6.rules`,
			"ufw reload",
		}},
		"firewalld": {strings.ReplaceAll(forward("drop", ""), "inet filter", "inet firewalld"), []string{"firewall-cmd --permanent --zone=trusted --add-interface=cni0", "firewall-cmd --reload"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t)
			load(t, h, tc.rules)
			b := usual()
			b.IPv6 = false
			if diff := cmp.Diff(tc.want, firewall.Fixes(drops(t, h, b))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func iptablesForward(more string) string {
	return "table ip filter {\n" + more + "\nchain FORWARD { type filter hook forward priority filter; policy drop; }\n}\n"
}

// The commands quote names of bridges that nft(8) or iptables could read as a number or a keyword. For a name
// with other characters there is no command.
//
// Claim: Names, comments and errors from outside reach terminals, logs and CNI errors on one line without control characters; printed
// commands are quoted in one place, and no command is printed for a name that cannot be quoted
// Claim: What other packet filters would drop is reported with table, chain, rule and the command that fixes it, and agrees with what
// happens to real connections
func TestDropsFixOfOddNames(t *testing.T) {
	for _, rules := range []string{forward("drop", ""), iptablesForward("")} {
		for _, name := range []string{"br$1;x", "it's", "br&x", "br+", "br*", "-all", "br\x1b[2J"} {
			b := usual()
			b.Name = name
			h := host(t)
			load(t, h, rules)
			for _, line := range firewall.Fixes(drops(t, h, b)) {
				if !strings.HasPrefix(line, "# no command is offered: ") || strings.ContainsAny(line, "\x1b\n") {
					t.Errorf("%q: %q", name, line)
				}
			}
		}
		for _, name := range []string{"0", "accept", "br.1-2_3"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h := host(t)
				load(t, h, rules)
				b := usual()
				b.Name = name
				runFixes(t, h, drops(t, h, b))
				if left := drops(t, h, b); len(left) > 0 {
					t.Errorf("still:\n%s\n%s", strings.Join(sentences(left), "\n"), h.Run(t, "nft", "list", "ruleset"))
				}
			})
		}
	}
}
