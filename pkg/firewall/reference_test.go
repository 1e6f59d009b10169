package firewall_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Names in the rules that the reference plugins v1.9.1 add for container c of network net.
const (
	hashOfNetC     = "f4b316d7e3e8b342296d270d" // the first 24 digits of SHA-512 of "netc"
	instanceOfNetC = "a4861f4ae9f7d238-9f7877994d6abce3"
)

func remove(t *testing.T, h *nettest.Node, r firewall.Reference) (removed bool) {
	t.Helper()
	inHost(t, h, func(f *firewall.Filters) (err error) {
		removed, err = f.RemoveReference(r)
		return err
	})
	return removed
}

func ofC(addrs ...string) firewall.Reference {
	r := firewall.Reference{Network: "net", ContainerID: "c", IfName: "eth0"}
	for _, a := range addrs {
		r.Addresses = append(r.Addresses, netip.MustParseAddr(a))
	}
	return r
}

// masquerade adds the rules of ipMasq with backend iptables for a chain.
func masquerade(h *nettest.Node, t *testing.T, chain, network, id, addr string) {
	t.Helper()
	h.Run(t, "sh", "-ec", `
		comment="name: \"$2\" id: \"$3\""
		iptables -t nat -N "$1" 2>/dev/null || :
		iptables -t nat -A "$1" -d 10.88.0.0/24 -j ACCEPT -m comment --comment "$comment"
		iptables -t nat -A "$1" ! -d 224.0.0.0/4 -j MASQUERADE -m comment --comment "$comment"
		iptables -t nat -A POSTROUTING -s "$4" -j "$1" -m comment --comment "$comment"`, "sh", chain, network, id, addr)
}

func saved(t *testing.T, h *nettest.Node, family, table string) string {
	t.Helper()
	var out []string
	for line := range strings.Lines(h.Run(t, family+"-save", "-t", table)) {
		if strings.HasPrefix(line, "-") || strings.HasPrefix(line, ":CNI") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, "\n")
}

// Two attachments share a chain if network and container ID join to the same text. The rules of the other one are kept.
//
// Claim: DEL and GC of a container attached by the reference plugins remove its interface, address file, chains and rules, in iptables and
// nftables, and nothing of another container
func TestRemoveReferenceComparesTheComment(t *testing.T) {
	t.Parallel()
	h := host(t)
	chain := "CNI-" + hashOfNetC
	masquerade(h, t, "CNI-000000000000000000000000", "net", "d", "10.88.0.4")
	masquerade(h, t, chain, "ne", "tc", "10.88.0.3")
	before := saved(t, h, "iptables", "nat")
	masquerade(h, t, chain, "net", "c", "10.88.0.2")
	if !remove(t, h, ofC()) {
		t.Error("nothing was removed")
	}
	if diff := cmp.Diff(before, saved(t, h, "iptables", "nat")); diff != "" {
		t.Errorf("rules of other attachments (-want +got):\n%s", diff)
	}
	if remove(t, h, ofC()) {
		t.Error("something was removed again")
	}
	if !remove(t, h, firewall.Reference{Network: "ne", ContainerID: "tc", IfName: "eth0"}) || strings.Contains(saved(t, h, "iptables", "nat"), chain) {
		t.Errorf("the chain of the last one is still there:\n%s", saved(t, h, "iptables", "nat"))
	}
}

// Of portmap by iptables the chain goes with its entries, also where another rule of the same port stands beside.
//
// Claim: DEL and GC of a container attached by the reference plugins remove its interface, address file, chains and rules, in iptables and
// nftables, and nothing of another container
func TestRemoveReferencePorts(t *testing.T) {
	t.Parallel()
	h := host(t)
	add := func(chain, id, port string) {
		h.Run(t, "sh", "-ec", `
			iptables -t nat -N CNI-HOSTPORT-DNAT 2>/dev/null || :
			iptables -t nat -N "$1"
			iptables -t nat -A "$1" -p tcp --dport "$3" -j DNAT --to-destination 10.88.0.2:80
			iptables -t nat -A CNI-HOSTPORT-DNAT -m comment --comment "dnat name: \"net\" id: \"$2\"" -m multiport -p tcp --destination-ports "$3" -j "$1"
			iptables -t nat -A CNI-HOSTPORT-DNAT -m comment --comment "dnat name: \"net\" id: \"$2\"" -m multiport -p udp --destination-ports "$3" -j "$1"`, "sh", chain, id, port)
	}
	add("CNI-DN-000000000000000000000", "d", "8081")
	before := saved(t, h, "iptables", "nat")
	add(("CNI-DN-" + hashOfNetC)[:28], "c", "8080")
	remove(t, h, ofC())
	if diff := cmp.Diff(before, saved(t, h, "iptables", "nat")); diff != "" {
		t.Errorf("rules of other attachments (-want +got):\n%s", diff)
	}
}

// Rules of nftables go by their comments; those of portmap, which name the container alone, by the address too.
//
// Claim: DEL and GC of a container attached by the reference plugins remove its interface, address file, chains and rules, in iptables and
// nftables, and nothing of another container
func TestRemoveReferenceByComment(t *testing.T) {
	t.Parallel()
	h := host(t)
	others := `
		table inet cni_plugins_masquerade {
			chain masq_checks {
				ip saddr 10.88.0.3 ip daddr != 10.88.0.0/24 masquerade comment "` + instanceOfNetC[:32] + `0, net: net, if: eth0, id: d"
			}
		}
		table ip cni_hostport {
			chain hostports {
				tcp dport 8081 dnat to 10.88.0.3:80 comment "d"
				tcp dport 8082 dnat to 10.99.0.2:80 comment "c"
			}
			chain masquerading {
				ip saddr 10.99.0.2 ip daddr 10.99.0.2 masquerade comment "c"
			}
		}`
	load(t, h, others)
	before := h.Run(t, "nft", "list", "ruleset")
	load(t, h, `
		add rule inet cni_plugins_masquerade masq_checks ip saddr 10.88.0.2 ip daddr != 10.88.0.0/24 masquerade comment "`+instanceOfNetC+`, net: net, if: eth0, id: c"
		add rule ip cni_hostport hostports tcp dport 8080 dnat to 10.88.0.2:80 comment "c"
		add rule ip cni_hostport hostports ip daddr 192.0.2.1 udp dport 8080 dnat to 10.88.0.2:80 comment "c"
		add rule ip cni_hostport masquerading ip saddr 10.88.0.2 ip daddr 10.88.0.2 masquerade comment "c"
		add rule ip cni_hostport masquerading ip saddr 127.0.0.1 ip daddr 10.88.0.2 masquerade comment "c"`)
	remove(t, h, ofC("10.88.0.2", "fd00:88::2"))
	if diff := cmp.Diff(before, h.Run(t, "nft", "list", "ruleset")); diff != "" {
		t.Errorf("rules of other attachments (-want +got):\n%s", diff)
	}
	remove(t, h, ofC()) // without an address the container ID alone could be another network's
	if diff := cmp.Diff(before, h.Run(t, "nft", "list", "ruleset")); diff != "" {
		t.Errorf("rules of another network of the container (-want +got):\n%s", diff)
	}
}

// The two rules of plugin firewall for an address are deleted, and no other rule with that address.
//
// Claim: DEL and GC of a container attached by the reference plugins remove its interface, address file, chains and rules, in iptables and
// nftables, and nothing of another container
func TestRemoveReferenceAccepts(t *testing.T) {
	t.Parallel()
	h := host(t)
	accept := func(family, addr string) {
		h.Run(t, "sh", "-ec", `
			$1 -A CNI-FORWARD -d "$2" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
			$1 -A CNI-FORWARD -s "$2" -j ACCEPT`, "sh", family, addr)
	}
	for _, family := range []string{"iptables", "ip6tables"} {
		h.Run(t, family, "-N", "CNI-FORWARD")
		h.Run(t, family, "-N", "CNI-ADMIN")
		h.Run(t, family, "-A", "CNI-FORWARD", "-m", "comment", "--comment", "CNI firewall plugin admin overrides", "-j", "CNI-ADMIN")
	}
	accept("iptables", "10.88.0.3/32")
	accept("iptables", "10.88.0.0/24")
	h.Run(t, "iptables", "-A", "CNI-FORWARD", "-s", "10.88.0.2", "-j", "DROP")
	h.Run(t, "iptables", "-A", "CNI-FORWARD", "-s", "10.88.0.2", "-p", "tcp", "--dport", "80", "-j", "ACCEPT")
	before4, before6 := saved(t, h, "iptables", "filter"), saved(t, h, "ip6tables", "filter")
	accept("iptables", "10.88.0.2/32")
	accept("ip6tables", "fd00:88::2/128")
	ours := ofC("10.88.0.2", "fd00:88::2")
	ours.Seen = []netip.Addr{netip.MustParseAddr("10.88.0.3")} // which the container assigned
	remove(t, h, ours)
	if diff := cmp.Diff([]string{before4, before6}, []string{saved(t, h, "iptables", "filter"), saved(t, h, "ip6tables", "filter")}); diff != "" {
		t.Errorf("rules of other attachments (-want +got):\n%s", diff)
	}
}

// On a host without rules of the reference plugins nothing is created.
func TestRemoveReferenceOfNothing(t *testing.T) {
	t.Parallel()
	h := host(t)
	if remove(t, h, ofC("10.88.0.2")) {
		t.Error("something was removed")
	}
	if rules := h.Run(t, "nft", "list", "ruleset"); rules != "" {
		t.Errorf("rules were added:\n%s", rules)
	}
}

// Table nat of iptables-legacy is edited as iptables-legacy does: other rules keep content, jumps and counters.
//
// Claim: DEL and GC of a container attached by the reference plugins remove its interface, address file, chains and rules, in iptables and
// nftables, and nothing of another container
func TestRemoveReferenceLegacy(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.Tool("iptables-legacy"), nettest.Tool("ip6tables-legacy"))
	h := host(t)
	for _, tc := range []struct{ family, host, subnet, addr, multicast, lo string }{
		{"iptables", "10.88.0.3", "10.88.0.0/24", "10.88.0.2", "224.0.0.0/4", "127.0.0.1"},
		{"ip6tables", "fd00:88::3", "fd00:88::/64", "fd00:88::2", "ff00::/8", "::1"},
	} {
		ours := func(chain, network, id, addr string) {
			h.Run(t, "sh", "-ec", `
				i=$1-legacy; comment="name: \"$3\" id: \"$4\""
				$i -t nat -N "$2" 2>/dev/null || :
				$i -t nat -A "$2" -d "$6" -j ACCEPT -m comment --comment "$comment"
				$i -t nat -A "$2" ! -d "$7" -j MASQUERADE -m comment --comment "$comment"
				$i -t nat -I POSTROUTING -s "$5" -j "$2" -m comment --comment "$comment"`, "sh", tc.family, chain, network, id, addr, tc.subnet, tc.multicast)
		}
		h.Run(t, "sh", "-ec", `
			i=$1-legacy
			$i -t nat -N before; $i -t nat -N zlast; $i -t nat -A zlast -j RETURN
			$i -t nat -A before -m limit --limit 1/s -j zlast; $i -t nat -A before
			$i -t nat -A OUTPUT -d $2 -p udp --dport 9 -j before; $i -t nat -A POSTROUTING -g zlast
			$i -t nat -P INPUT ACCEPT`, "sh", tc.family, tc.lo)
		ours("CNI-000000000000000000000000", "net", "d", tc.host)
		ours("CNI-"+hashOfNetC, "ne", "tc", tc.host)
		h.Run(t, "sh", "-ec", `$1-legacy -t nat -N CNI-HOSTPORT-DNAT; $1-legacy -t nat -A PREROUTING -j CNI-HOSTPORT-DNAT`, "sh", tc.family)
		save := func() string { return legacySaved(h.Run(t, tc.family+"-legacy-save", "-c", "-t", "nat")) }
		ours("CNI-"+hashOfNetC, "net", "c", tc.addr)
		h.Run(t, "sh", "-ec", `
			i=$1-legacy; d=CNI-DN-$2
			$i -t nat -N $d; $i -t nat -A $d -p tcp --dport 80 -j DNAT --to-destination $3
			$i -t nat -A CNI-HOSTPORT-DNAT -m comment --comment 'dnat name: "net" id: "c"' -m multiport -p tcp --destination-ports 80 -j $d`,
			"sh", tc.family, hashOfNetC[:21], tc.addr)
		udp(t, h, tc.lo) // something to count
		before := save()
		if strings.Count(before, "[1:") < 2 || strings.Count(before, ofOthers(before)) != 0 {
			t.Fatalf("before:\n%s", before)
		}
		if !remove(t, h, ofC()) {
			t.Error("nothing was removed")
		}
		if diff := cmp.Diff(ofOthers(before), save()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.family, diff)
		}
		remove(t, h, firewall.Reference{Network: "ne", ContainerID: "tc", IfName: "eth0"})
		if left := save(); strings.Contains(left, hashOfNetC) || !strings.Contains(left, "CNI-0000") {
			t.Errorf("after the last attachment of the chain:\n%s", left)
		}
		h.Run(t, "sh", "-ec", `$1-legacy -t nat -A POSTROUTING -j zlast; $1-legacy-save | $1-legacy-restore --test`, "sh", tc.family)
	}
}

// legacySaved returns a saved table without the comments, which have the time.
func legacySaved(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// ofOthers returns a saved table without the rules of container c, and without its chain of ports.
func ofOthers(saved string) string {
	var out []string
	for line := range strings.Lines(saved) {
		if !strings.Contains(line, `id: \"c\"`) && !strings.Contains(line, "CNI-DN-") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// udp sends a packet to port 9 of a host's own address.
func udp(t *testing.T, h *nettest.Node, addr string) {
	t.Helper()
	var err error
	h.Do(func() {
		var conn net.Conn
		if conn, err = net.Dial("udp", net.JoinHostPort(addr, "9")); err == nil {
			_, err = conn.Write([]byte("x"))
			_ = conn.Close()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
