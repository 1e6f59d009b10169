package firewalls

import (
	"maps"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/firewalls/hostfw"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// withCommand runs the command behind the last colon of a comment of the fix.
func withCommand(t *testing.T, s *site, fix []string) {
	t.Helper()
	line := fix[len(fix)-1]
	at := strings.LastIndex(line, ": ")
	if at < 0 || !strings.HasPrefix(line, "#") {
		t.Fatalf("no command in %q", line)
	}
	s.shell(t, line[at+2:])
}

// nft returns a step that loads a ruleset.
func nft(rules string) func(t *testing.T, s *site) {
	return func(t *testing.T, s *site) {
		t.Helper()
		s.Run(t, "nft", rules)
		s.Allow("nft ")
	}
}

func iptables(commands ...string) func(t *testing.T, s *site) {
	return func(t *testing.T, s *site) {
		t.Helper()
		for _, line := range commands {
			s.Run(t, "sh", "-ec", line)
		}
		s.Allow("nft ")
	}
}

// ruleFaults returns rules of other programs for one address or port in the forward hook.
func ruleFaults() map[string]fault {
	return map[string]fault{
		"a rule for the container's port": {
			about: "firewall", says: "table inet other of nftables drops IPv4 connections to port 8080/tcp of web-4b5e57f6 of network net", seen: "chain f of table inet other: rule 1 (handle ",
			fix:    `nft 'insert rule inet other f oifname "cni0" ip daddr 10.88.0.2 tcp dport 80 ct status dnat accept'`,
			breaks: nft("table inet other { chain f { type filter hook forward priority 0; ip daddr 10.88.0.2 tcp dport 80 drop; }; }"), closed4: []string{published, across},
		},
		"a rule of iptables for one source": {
			about: "firewall", says: "iptables drops IPv4 packets of web-4b5e57f6 of network net (10.88.0.2): cannot reach other networks, published ports are unreachable", seen: "chain FORWARD of table ip filter: rule 1",
			fix:    "iptables -I FORWARD -i cni0 -s 10.88.0.2 -j ACCEPT",
			breaks: iptables("iptables -I FORWARD -s 10.88.0.2 -j DROP"), closed4: []string{published, leaving, across, shut},
		},
		"a rule for the pool": {
			about: "firewall", says: "table inet other of nftables drops IPv6 packets of web-4b5e57f6 of network net (fd00:88::2) and db-7bdc25d16 of network net (fd00:88::3): cannot reach other networks, published ports are unreachable", seen: "chain f of table inet other: rule 1",
			fix:    `nft 'insert rule inet other f iifname "cni0" ip6 saddr fd00:88::3 accept'`,
			breaks: nft("table inet other { chain f { type filter hook forward priority 0; ip6 saddr fd00:88::/64 drop; }; }"), closed6: []string{published, leaving, across, shut},
		},
	}
}

// hostFaults returns rules at prerouting and at the input hook.
func hostFaults() map[string]fault {
	const translates = " IPv4 connections to port 8080/tcp of web-4b5e57f6 of network net: another destination gets them"
	return map[string]fault{
		"the port is translated before": {
			about: "firewall", says: "table ip other of nftables redirects" + translates, seen: "chain c of table ip other: rule 1",
			fix:    `# publish one of the two at another host port; or, so that Patchbay's is used: nft 'insert rule ip other c fib daddr type local tcp dport 8080 accept'`,
			breaks: nft("table ip other { chain c { type nat hook prerouting priority -110; fib daddr type local tcp dport 8080 dnat to 10.99.9.9:80; }; }"), closed4: []string{published, across},
			manualFix: withCommand,
		},
		"the port is translated by iptables, at the same priority": {
			about: "firewall", says: "iptables may redirect" + translates, seen: "chain PREROUTING of table ip nat: rule 1",
			fix:    "so that Patchbay's is used: iptables -t nat -I PREROUTING -p tcp --dport 8080 -m addrtype --dst-type LOCAL -j ACCEPT",
			breaks: iptables("iptables -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.99.9.9:80"), closed4: []string{published, across},
			manualFix: withCommand,
		},
		"the port is not tracked": {
			about: "firewall", says: "iptables excludes IPv4 connections to port 8080/tcp of web-4b5e57f6 of network net from connection tracking: they do not reach the container", seen: "chain PREROUTING of table ip raw: rule 1",
			fix:    "iptables -t raw -I PREROUTING -p tcp --dport 8080 -j ACCEPT",
			breaks: iptables("iptables -t raw -A PREROUTING -p tcp --dport 8080 -j CT --notrack"), closed4: []string{published, across},
		},
		"the port is dropped before conntrack": {
			about: "firewall", says: "iptables-legacy drops IPv4 connections to port 8080/tcp of web-4b5e57f6 of network net", seen: "chain PREROUTING of table ip raw: rule 1",
			fix:    "iptables-legacy -t raw -I PREROUTING -p tcp --dport 8080 -j ACCEPT",
			breaks: iptables("iptables-legacy -t raw -A PREROUTING -p tcp --dport 8080 -j DROP"), closed4: []string{published, across},
		},
		"INPUT drops replies to the host": {
			about: "firewall", says: "table inet other of nftables drops packets from bridge cni0 to the host: the host gets no replies of its containers, its containers cannot find their IPv6 gateway", seen: "chain in of table inet other: policy drop",
			fix:    `nft 'insert rule inet other in iifname "cni0" ct state established,related accept'`,
			breaks: nft("table inet other { chain in { type filter hook input priority 0; policy drop; iifname lo accept; iifname eth0 accept; }; }"),
			closed: func(t *testing.T, s *site, is bool) {
				for family := range 2 {
					if err := dial(s.Netns, s.address(t, s.web, family), 80, patience(is)); (err == nil) == is {
						t.Errorf("the host connects to web: %v, want it closed: %v", err, is)
					}
				}
			},
		},
	}
}

// harmless returns rulesets that drop nothing of what containers need.
func harmless() map[string]string {
	return map[string]string{
		"a strict INPUT":         "table inet other { chain in { type filter hook input priority 0; policy drop; ct state established,related accept; iifname lo accept; tcp dport 22 accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept; }; }",
		"other ports":            "table inet other { chain f { type filter hook forward priority 0; tcp dport { 25, 8080 } drop; udp dport 137-138 drop; ct state invalid drop; }; chain p { type nat hook prerouting priority -110; tcp dport 9090 redirect to :80; }; chain r { type filter hook prerouting priority raw; udp dport 53 notrack; tcp dport 82 drop; }; }",
		"a list of bad sources":  "table inet other { set bad { type ipv4_addr; flags interval; elements = { 203.0.113.0/24, 10.0.0.0/16, 192.168.0.0/16 }; }; chain p { type filter hook prerouting priority -300; ip saddr @bad drop; }; chain f { type filter hook forward priority 0; ip saddr @bad drop; ip daddr @bad drop; }; }",
		"the subnets accepted":   "table inet other { chain f { type filter hook forward priority 0; policy drop; ip saddr 10.88.0.0/16 accept; ip daddr 10.88.0.0/16 accept; ip6 saddr fd00:88::/64 accept; ip6 daddr fd00:88::/64 accept; }; }",
		"kube-proxy in nftables": "table ip kube-proxy { map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.96.0.10 . tcp . 53 : drop }; }; map service-nodeports { type inet_proto . inet_service : verdict; elements = { tcp . 30080 : goto node }; }; map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.96.0.1 . tcp . 443 : goto service }; }; set nodeport-ips { type ipv4_addr; elements = { 198.51.100.1 }; }; chain service { meta l4proto tcp dnat to 192.0.2.9:6443; }; chain node { meta l4proto tcp dnat to 10.244.0.5:80; }; chain nat-prerouting { type nat hook prerouting priority -100; ip daddr . meta l4proto . th dport vmap @service-ips; ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports; }; chain filter-forward { type filter hook forward priority -110; ct state new ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }; chain filter-input { type filter hook input priority -110; ct state new ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }; chain filter-prerouting { type filter hook prerouting priority -110; ct state new ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }; }",
		"libvirt in nftables":    "table ip libvirt_network { chain guest_cross { oif lo accept; }; chain guest_input { oifname virbr0 ip daddr 192.168.122.0/24 ct state established,related accept; oifname virbr0 reject; }; chain guest_output { iifname virbr0 ip saddr 192.168.122.0/24 accept; iifname virbr0 reject; }; chain guest_x { iifname virbr0 oifname virbr0 accept; }; chain forward { type filter hook forward priority 0; policy accept; jump guest_x; jump guest_input; jump guest_output; }; }",
	}
}

// harmlessIPTables are rulesets of iptables that drop nothing of what containers need.
func harmlessIPTables() map[string]string {
	return map[string]string{
		"kube-proxy": `iptables -t nat -N KUBE-SERVICES; iptables -t nat -N KUBE-NODEPORTS; iptables -t nat -N KUBE-SVC; iptables -t nat -A PREROUTING -j KUBE-SERVICES
iptables -t nat -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC; iptables -t nat -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
iptables -t nat -A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j KUBE-SVC; iptables -t nat -A KUBE-SVC -p tcp -m comment --comment default/web -j DNAT --to-destination 10.244.0.5:80
iptables -N KUBE-FORWARD; iptables -N KUBE-FIREWALL; iptables -A FORWARD -j KUBE-FORWARD; iptables -A INPUT -j KUBE-FIREWALL
iptables -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP; iptables -A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
iptables -A FORWARD -d 10.96.0.10/32 -p tcp -m tcp --dport 53 -j REJECT`,
		"libvirt": `iptables -N LIBVIRT_FWI; iptables -N LIBVIRT_FWO; iptables -N LIBVIRT_INP; iptables -A FORWARD -j LIBVIRT_FWI; iptables -A FORWARD -j LIBVIRT_FWO; iptables -A INPUT -j LIBVIRT_INP
iptables -A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; iptables -A LIBVIRT_FWI -o virbr0 -j REJECT; iptables -A LIBVIRT_FWO -i virbr0 -j REJECT
iptables -A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 53 -j ACCEPT`,
		"Docker's nat and raw": `iptables -t nat -N DOCKER; iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER; iptables -t nat -A DOCKER -i docker0 -j RETURN
iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 9090 -j DNAT --to-destination 172.17.0.2:80; iptables -t raw -A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP`,
	}
}

// TestDoctorFindsNothing: rulesets that hosts often have, and that drop nothing of what containers need, are not reported.
//
// Claim: `patchbay doctor` does not report rulesets that drop nothing of what containers need: those of kube-proxy, libvirt, a strict INPUT chain, lists of addresses and rules for other ports
func TestDoctorFindsNothing(t *testing.T) {
	all := map[string]func(t *testing.T, s *site){}
	for name, rules := range harmless() {
		all[name] = nft(rules)
	}
	for name, commands := range harmlessIPTables() {
		all[name+" in iptables"] = iptables(strings.ReplaceAll(commands, "\n", "; "))
		all[name+" in iptables-legacy"] = iptables(strings.ReplaceAll(strings.ReplaceAll(commands, "\n", "; "), "iptables ", "iptables-legacy "))
	}
	for name, load := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.populateWithUDP(t, network())
			load(t, s)
			s.healthy(t, "with "+name)
			s.connects(t, "with "+name, 0, everything()...)
			s.connects(t, "with "+name, 1, everything()...)
			s.leave(t, network())
		})
	}
}

// TestDoctorRules: doctor names rules for single addresses and ports, at prerouting and at the input hook, and its fixes open the connections.
//
// Claim: `patchbay doctor` names a rule for one address, published port or subnet, a rule at prerouting that drops, redirects or does not
// track a published port, and an INPUT chain that drops what containers send to the host; the printed fix opens it
func TestDoctorRules(t *testing.T) {
	all := ruleFaults()
	maps.Copy(all, hostFaults())
	runFaults(t, all)
}

// TestDoctorNameServer: the name server of a namespace is the host, and ufw does not let its queries in.
//
// Claim: `patchbay doctor` names the firewall that drops the queries of a namespace to a name server of the host
func TestDoctorNameServer(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(t testing.TB, h *nettest.Node) *hostfw.Firewall { return hostfw.StartUFW(t, h) })
	s.Allow("nft ")
	s.Run(t, "sh", "-ec", "mkdir -p /etc/netns/lab; echo nameserver 10.77.0.1 >/etc/netns/lab/resolv.conf")
	if exit, _, errs := s.patchbay(t, "up", "lab"); exit != 0 {
		t.Fatal(errs)
	}
	found := s.doctor(t)
	expect.Equal(t, "findings", len(found), 2)
	expect.Equal(t, "says", found[0].Says, "ufw drops IPv4 packets from bridge patchbay0 to the host: its containers cannot reach the name server 10.77.0.1 of the host")
	expect.Equal(t, "fix", strings.Join(found[0].Fix, "\n"), "ufw prepend allow in on patchbay0 to any port 53 proto udp\nufw prepend allow in on patchbay0 to any port 53 proto tcp")
	for _, f := range found {
		for _, line := range f.Fix {
			s.fw.Shell(t, line)
		}
	}
	s.healthy(t, "fixed")
	if exit, _, errs := s.patchbay(t, "down", "lab"); exit != 0 {
		t.Fatal(errs)
	}
	s.Run(t, "rm", "-r", "/etc/netns")
}
