package nft_test

import (
	"encoding/json"
	"math/bits"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// forms returns entries that need every form of rule.
func forms() []nft.Entry {
	usual := entry("net.with-dots_and-dashes", "cni0", "usual", "10.1.2.3/24", "2001:db8:1::3/64")
	usual.Exclude = prefixes("10.1.2.128/25", "192.0.2.0/25", "198.51.100.7/32", "172.16.0.0/12", "2001:db8:2::/47", "2001:db8:7::7/128", "2001:db8:1::/65")
	random := entry("random", "cni1", "random", "10.2.0.3/16")
	random.Exclude, random.RandomFully = prefixes("10.0.0.0/8"), true
	all := entry("all", "fifteen-letters", "all", "10.3.0.3/24", "2001:db8:3::3/64")
	all.Exclude = prefixes("0.0.0.0/0", "::/0")
	halves := entry("halves", "cni0", "halves", "10.4.0.3/32", "2001:db8:4::3/128")
	halves.Exclude = prefixes("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")
	edges := entry("edges", "cni0", "edges", "10.5.0.3/31", "2001:db8:5::3/127")
	edges.Exclude = prefixes("100.64.0.0/9", "203.0.113.0/30", "fc00::/7", "2001:db8:f00::/39", "2001:db8:c000::/40")
	six := entry("six", "cni6", "six", "fd00:88::3/64")
	ports := entry("ports", "cni0", "ports", "10.6.0.3/24", "2001:db8:6::3/64")
	ports.Localhost, ports.MarkBit = true, nft.UsualMarkBit
	ports.Ports = []nft.Port{
		port("tcp", "", 8080, "10.6.0.3:80"), port("udp", "192.0.2.1", 53, "10.6.0.3:5353"), port("sctp", "", 65535, "10.6.0.3:1"),
		port("tcp", "", 8080, "[2001:db8:6::3]:80"), port("udp", "2001:db8::1", 53, "[2001:db8:6::3]:5353"),
	}
	marked := entry("marked", "cni7", "marked")
	marked.MarkBit, marked.MasqueradeAll, marked.Isolation, marked.HostInterface = 20, true, nft.Isolated, "vethaaaaaaaaaaa"
	marked.Ports = []nft.Port{
		port("tcp", "", 8081, "10.7.0.3:80"), port("tcp", "192.0.2.1", 8082, "10.7.0.3:80"),
		port("tcp", "", 8081, "[2001:db8:7::3]:80"), port("tcp", "2001:db8::1", 8082, "[2001:db8:7::3]:80"),
	}
	plain := entry("plain", "cni8", "plain")
	plain.MarkBit, plain.NoMasquerade, plain.Isolation = nft.UsualMarkBit, true, nft.SameBridge
	plain.Ports = []nft.Port{port("tcp", "", 8083, "10.8.0.3:80"), port("tcp", "", 8083, "[2001:db8:8::3]:80")}
	plain.HostInterface, plain.SpoofCheck = "vethbbbbbbbbbbb", &nft.SpoofCheck{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}}
	marked.SpoofCheck = &nft.SpoofCheck{
		MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Full: true,
		Addresses: []netip.Addr{netip.MustParseAddr("10.7.0.3"), netip.MustParseAddr("2001:db8:7::3")},
	}
	return append([]nft.Entry{usual, random, all, halves, edges, six, ports, marked, plain}, policyForms()...)
}

// policyForms returns entries with a source address instead of masquerading, with ingressPolicy "published", and with
// egress: lists of one and of several destinations, of both families, of intervals and of addresses alone.
func policyForms() []nft.Entry {
	outbound := entry("outbound", "cni9", "outbound", "10.9.0.3/24", "2001:db8:9::3/64")
	outbound.Outbound4, outbound.Outbound6 = netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("2001:db8:f::5")
	one := entry("outbound4", "cni9", "outbound4", "10.10.0.3/24", "2001:db8:10::3/64")
	one.Outbound4, one.RandomFully, one.Isolation = netip.MustParseAddr("203.0.113.6"), true, nft.PublishedOnly
	egress := func(name, mac string, addrs ...string) nft.Entry {
		e := entry(name, "cni10", name)
		hardware, _ := net.ParseMAC(mac)
		e.HostInterface, e.SpoofCheck, e.Egress = "veth"+name, &nft.SpoofCheck{MAC: hardware, Full: true}, &nft.Egress{}
		for _, p := range addrs {
			prefix := netip.MustParsePrefix(p)
			e.Egress.OnLink, e.Egress.Sources = append(e.Egress.OnLink, prefix.Masked()), append(e.Egress.Sources, prefix.Addr())
			e.SpoofCheck.Addresses = append(e.SpoofCheck.Addresses, prefix.Addr())
		}
		return e
	}
	many := egress("many", "02:00:00:00:00:03", "10.11.0.3/16", "2001:db8:11::3/64")
	many.Egress.Allow = prefixes("10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/25", "192.0.2.128/25", "198.51.100.7/32", "255.255.255.0/24", "0.0.0.0/8", "2001:db8:2::/47", "2001:db8:4::/47", "ff00::/8", "2001:db8:7::7/128")
	many.Egress.DNS = addresses("192.0.2.53", "198.51.100.53", "192.0.2.53", "2001:db8::53", "2001:db8::54")
	single := egress("single", "02:00:00:00:00:04", "10.11.0.4/16", "2001:db8:11::4/64")
	single.Egress.Allow, single.Egress.DNS, single.Egress.DHCP = prefixes("172.16.0.0/12", "2001:db8:3::3/128"), addresses("10.11.0.1", "2001:db8:11::1"), true
	none := egress("none", "02:00:00:00:00:05", "10.11.0.5/32")
	every := egress("every", "02:00:00:00:00:06", "10.11.0.6/16")
	every.Egress.Allow = prefixes("0.0.0.0/0", "::/0")
	return []nft.Entry{outbound, one, many, single, none, every}
}

// addresses parses addresses.
func addresses(list ...string) (all []netip.Addr) {
	for _, addr := range list {
		all = append(all, netip.MustParseAddr(addr))
	}
	return all
}

// port returns a published port; host is "" for all addresses.
func port(proto, host string, number uint16, container string) nft.Port {
	p := nft.Port{Proto: map[string]uint8{"tcp": 6, "udp": 17, "sctp": 132}[proto], HostPort: number, Container: netip.MustParseAddrPort(container)}
	if host != "" {
		p.HostIP = netip.MustParseAddr(host)
	}
	return p
}

// bothWays returns a host with the table of forms as this package builds it, and one on which nft(8) loaded it from
// a text.
func bothWays(t *testing.T) (ours, theirs *nettest.Node) {
	t.Helper()
	ours, theirs = host(t), host(t)
	r := in(t, ours)
	if err := inHost(ours, func() error { return r.Rebuild(only(forms()...)) }); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("PATCHBAY_UPDATE") != "" {
		if err := os.WriteFile("testdata/forms.nft", []byte(textHeader+list(t, ours)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	theirs.Run(t, "nft", "-f", "testdata/forms.nft")
	return ours, theirs
}

// The tables are listed as the text from which nft(8) loads equal ones.
//
// Claim: Bytes sent by Patchbay list as the same text as a hand-written ruleset, byte for byte, and behave the same
func TestOurBytesListAsText(t *testing.T) {
	ours, theirs := bothWays(t)
	want, got := list(t, theirs), list(t, ours)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nft list (-text +ours):\n%s", diff)
	}
	for _, form := range []string{"0.0.0.0/0", "::/0", "128.0.0.0/1", "10.0.0.0/8", "10.5.0.2/31", "198.51.100.7 return", "masquerade fully-random", "drop", "ct state invalid", "/127"} {
		if !strings.Contains(got, form) {
			t.Errorf("no rule has the form %q:\n%s", form, got)
		}
	}
	if diff := cmp.Diff(listJSON(t, theirs), listJSON(t, ours)); diff != "" {
		t.Errorf("nft -j list (-text +ours):\n%s", diff)
	}
}

// textHeader begins the file that PATCHBAY_UPDATE writes.
const textHeader = `# The tables of the entries in text_test.go (forms), for nft -f. The rules that nft(8) loads from this text are compared with those that
# the package sends to the kernel.
`

// listJSON returns the ruleset without handles, which depend on earlier changes.
func listJSON(t *testing.T, h *nettest.Node) (objects any) {
	t.Helper()
	text := regexp.MustCompile(`"handle": \d+`).ReplaceAllString(h.Run(t, "nft", "-j", "list", "ruleset"), `"handle": 0`)
	if err := json.Unmarshal([]byte(text), &objects); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return objects
}

// The expressions are the same, with one exception. For a prefix of whole bytes, such as 10.0.0.0/8, nft(8) loads
// only these bytes and compares them. This package loads the address, masks and compares it, as both do for every
// other prefix: the result is the same, with one expression more.
//
// Claim: Bytes sent by Patchbay list as the same text as a hand-written ruleset, byte for byte, and behave the same
func TestOurBytesRunAsText(t *testing.T) {
	ours, theirs := bothWays(t)
	got, want := byteCode(t, ours), byteCode(t, theirs)
	if len(got) != len(want) || len(got) < 40 {
		t.Fatalf("%d rules, the text has %d", len(got), len(want))
	}
	shorter := 0
	for i := range got {
		if got[i] == want[i] {
			continue
		}
		shorter++
		if diff := cmp.Diff(want[i], wholeBytes(got[i])); diff != "" {
			t.Errorf("rule %d (-text +ours):\n%s\nours was\n%s", i, diff, got[i])
		}
	}
	t.Logf("%d rules; nft(8) loads fewer bytes in %d of them", len(got), shorter)
	if shorter == 0 {
		t.Error("no rule differs: nft(8) does not shorten any more, and this test's comment is wrong")
	}
}

// byteCode returns the expressions of each rule, as nft --debug=netlink prints them, without handles.
func byteCode(t *testing.T, h *nettest.Node) (rules []string) {
	t.Helper()
	out, _, _ := strings.Cut(h.Run(t, "nft", "--debug=netlink", "list", "ruleset"), "\ntable ")
	handles := regexp.MustCompile(`(?m)^((inet|bridge) patchbay \S+)[ \d]*$`)
	for rule := range strings.SplitSeq(handles.ReplaceAllString(out, "$1"), "\n\n") {
		if strings.Contains(rule, "  [ ") {
			rules = append(rules, strings.TrimSpace(rule[max(strings.LastIndex(rule, "inet patchbay"), strings.LastIndex(rule, "bridge patchbay")):]))
		}
	}
	return rules
}

// wholeBytes replaces a load with a mask of whole bytes by a load of these bytes.
func wholeBytes(rule string) string {
	masked := regexp.MustCompile(`payload load \d+b (@ network header \+ \d+ => reg 1 \])\n  \[ bitwise reg 1 = \( reg 1 & ([0-9a-fx ]+) \) \^ [0-9a-fx ]+ \]\n  \[ cmp eq reg 1 ([0-9a-fx ]+) \]`)
	m := masked.FindStringSubmatch(rule)
	if m == nil {
		return rule
	}
	ones := 0
	for word := range strings.FieldsSeq(m[2]) {
		n, err := strconv.ParseUint(word, 0, 32)
		if err != nil {
			return rule
		}
		ones += bits.OnesCount64(n)
	}
	words := strings.Fields(m[3])
	if ones%8 != 0 || ones == 0 || ones == 32*len(words) {
		return rule // a single address is not masked
	}
	short := "payload load " + strconv.Itoa(ones/8) + "b " + m[1] + "\n  [ cmp eq reg 1 " + strings.Join(words[:(ones+31)/32], " ") + " ]"
	return strings.Replace(rule, m[0], short, 1)
}

// With any names of networks and bridges that CNI allows, the ruleset can be listed, and the list can be loaded.
//
// Claim: Containers of a network share its chains; other settings and other versions have their own; names of any length and form can be
// listed and loaded
func TestNamesListAndLoad(t *testing.T) {
	h := host(t)
	r := in(t, h)
	var all []nft.Entry
	for i, network := range []string{"a", "0", "9.9", "a.b", "a-b", "a_b", "A.-_z", "drop", "masq_", "a..", "a--", strings.Repeat("long.name-", 25)} {
		e := numbered(network, "cni0", i)
		all = append(all, e)
	}
	all = append(all, numbered("net", "br.1-2_3", 20), numbered("net", "0", 21), numbered("net", "accept", 22), numbered("net", "br:1@2", 23))
	if err := inHost(h, func() error { return r.Rebuild(only(all...)) }); err != nil {
		t.Fatal(err)
	}
	listed(t, h, all...)
	text := list(t, h)
	again := host(t)
	file := t.TempDir() + "/listed.nft"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	again.Run(t, "nft", "-f", file)
	if diff := cmp.Diff(text, list(t, again)); diff != "" {
		t.Errorf("loaded and listed again (-listed +again):\n%s", diff)
	}
}
