package nft_test

import (
	"encoding/json"
	"math/bits"
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

// forms are entries that need every form of rule there is.
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
	marked.MarkBit, marked.All, marked.Isolation, marked.HostLink = 20, true, nft.Isolated, "vethaaaaaaaaaaa"
	marked.Ports = []nft.Port{
		port("tcp", "", 8081, "10.7.0.3:80"), port("tcp", "192.0.2.1", 8082, "10.7.0.3:80"),
		port("tcp", "", 8081, "[2001:db8:7::3]:80"), port("tcp", "2001:db8::1", 8082, "[2001:db8:7::3]:80"),
	}
	plain := entry("plain", "cni8", "plain")
	plain.MarkBit, plain.Plain, plain.Isolation = nft.UsualMarkBit, true, nft.SameBridge
	plain.Ports = []nft.Port{port("tcp", "", 8083, "10.8.0.3:80"), port("tcp", "", 8083, "[2001:db8:8::3]:80")}
	return []nft.Entry{usual, random, all, halves, edges, six, ports, marked, plain}
}

// port is one published port; host is "" for any address.
func port(proto, host string, number uint16, container string) nft.Port {
	p := nft.Port{Proto: map[string]uint8{"tcp": 6, "udp": 17, "sctp": 132}[proto], HostPort: number, Container: netip.MustParseAddrPort(container)}
	if host != "" {
		p.HostIP = netip.MustParseAddr(host)
	}
	return p
}

// bothWays is a host with the table of forms as this package builds it, and one with it as nft(8)
// reads it from a text.
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

// What this package tells the kernel is what nft(8) tells it for the text that a person would write.
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
const textHeader = `# The tables of the entries in text_test.go (forms), for nft -f: what nft(8) makes of this text is compared with what the package
# tells the kernel, rule by rule.
`

// listJSON is the ruleset without handles, which depend on what was there before.
func listJSON(t *testing.T, h *nettest.Node) (objects any) {
	t.Helper()
	text := regexp.MustCompile(`"handle": \d+`).ReplaceAllString(h.Run(t, "nft", "-j", "list", "ruleset"), `"handle": 0`)
	if err := json.Unmarshal([]byte(text), &objects); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return objects
}

// What the kernel runs is the same too, but for one thing: of a prefix of whole bytes, 10.0.0.0/8,
// nft(8) loads just those bytes and compares them; this package loads the address, masks and
// compares it, as both do for every other prefix. It is the same comparison, and one instruction more.
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
	t.Logf("%d rules, %d of them load whole bytes where the text is read", len(got), shorter)
	if shorter == 0 {
		t.Error("no rule differs: nft(8) does not shorten any more, and this test's comment is wrong")
	}
}

// byteCode is what the kernel runs, rule by rule, without handles.
func byteCode(t *testing.T, h *nettest.Node) (rules []string) {
	t.Helper()
	out, _, _ := strings.Cut(h.Run(t, "nft", "--debug=netlink", "list", "ruleset"), "\ntable ")
	handles := regexp.MustCompile(`(?m)^(inet patchbay \S+)[ \d]*$`)
	for rule := range strings.SplitSeq(handles.ReplaceAllString(out, "$1"), "\n\n") {
		if strings.Contains(rule, "  [ ") {
			rules = append(rules, strings.TrimSpace(rule[strings.LastIndex(rule, "inet patchbay"):]))
		}
	}
	return rules
}

// wholeBytes makes a rule that masks whole bytes one that loads only those.
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
		return rule // of a single address nothing is masked
	}
	short := "payload load " + strconv.Itoa(ones/8) + "b " + m[1] + "\n  [ cmp eq reg 1 " + strings.Join(words[:(ones+31)/32], " ") + " ]"
	return strings.Replace(rule, m[0], short, 1)
}

// Names of networks and bridges, as odd as CNI allows, can be listed, and the list can be loaded.
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
