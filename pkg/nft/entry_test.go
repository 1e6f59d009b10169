package nft

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func texts(all []netip.Prefix) (out []string) {
	for _, p := range all {
		out = append(out, p.String())
	}
	return out
}

// Two containers of a network share its chains. Each setting that the rules depend on changes the names.
//
// Claim: Containers of a network share its chains; other settings and other versions have their own; names of any length and form can be
// listed and loaded
func TestChainNames(t *testing.T) {
	one := Entry{Network: "net", Bridge: "cni0", Owner: "patchbay:1 net/a/eth0", Addresses: prefixes("10.1.2.3/24")}
	two := one
	two.Owner, two.Addresses = "patchbay:2 net/b/eth0", prefixes("10.1.2.4/24")
	two.Bridge = "cni1"
	if one.masquerade() != two.masquerade() || one.invalid() != two.invalid() {
		t.Errorf("two containers of a network have %s and %s", one.masquerade(), two.masquerade())
	}
	if want := regexp.MustCompile(`^masq_net_[0-9a-f]{8}$`); !want.MatchString(one.masquerade()) {
		t.Errorf("got %s, want %s", one.masquerade(), want)
	}
	seen := map[string]string{one.masquerade(): "the first"}
	for name, change := range map[string]func(*Entry){
		"another network":      func(e *Entry) { e.Network = "net2" },
		"another subnet":       func(e *Entry) { e.Addresses = prefixes("10.1.2.3/25") },
		"another family":       func(e *Entry) { e.Addresses = prefixes("2001:db8::3/64") },
		"one more family":      func(e *Entry) { e.Addresses = prefixes("10.1.2.3/24", "2001:db8::3/64") },
		"an exclude":           func(e *Entry) { e.Exclude = prefixes("192.0.2.0/24") },
		"random ports":         func(e *Entry) { e.RandomFully = true },
		"a dot in the network": func(e *Entry) { e.Network = "n.et" },
	} {
		e := one
		change(&e)
		if other, was := seen[e.masquerade()]; was {
			t.Errorf("%s has the chain of %s: %s", name, other, e.masquerade())
		}
		seen[e.masquerade()] = name
	}
}

// Another version of the skeleton has chains of other names, which an ADD of an older version does not find.
//
// Claim: Containers of a network share its chains; other settings and other versions have their own; names of any length and form can be
// listed and loaded
func TestChainNamesOfAnotherSchema(t *testing.T) {
	e := Entry{Network: "net", Addresses: prefixes("10.1.2.3/24")}
	before := e.masquerade()
	MakeNewer(t)
	if Schema() != version+1 || e.masquerade() == before {
		t.Errorf("schema %d has the chain %s of schema %d", Schema(), before, version)
	}
}

// A name of a chain has at most 255 bytes (NFT_NAME_MAXLEN); the hash depends on the part that is cut.
//
// Claim: Containers of a network share its chains; other settings and other versions have their own; names of any length and form can be
// listed and loaded
func TestChainNamesOfLongNetworks(t *testing.T) {
	long := strings.Repeat("n", 300)
	one := Entry{Network: long + "1", Addresses: prefixes("10.1.2.3/24")}
	two := Entry{Network: long + "2", Addresses: prefixes("10.1.2.3/24")}
	if n := len(one.invalid()); n > 255 {
		t.Errorf("a chain's name of %d bytes", n)
	}
	if one.masquerade() == two.masquerade() {
		t.Error("two long names have one chain")
	}
}

// Claim: Destinations that are not masqueraded are subnets, exclusions and multicast: each once, the largest, in order
func TestExclusions(t *testing.T) {
	for _, tc := range []struct {
		name               string
		addresses, exclude []netip.Prefix
		want               []string
	}{
		{"v4 alone", prefixes("10.1.2.3/24"), nil, []string{"10.1.2.0/24", "224.0.0.0/4"}},
		{"v6 alone", prefixes("2001:db8::3/64"), nil, []string{"2001:db8::/64", "ff00::/8"}},
		{"dual", prefixes("2001:db8::3/64", "10.1.2.3/24"), nil, []string{"10.1.2.0/24", "224.0.0.0/4", "2001:db8::/64", "ff00::/8"}},
		{"an exclude of a family without address", prefixes("10.1.2.3/24"), prefixes("2001:db8:1::/48"), []string{"10.1.2.0/24", "224.0.0.0/4"}},
		{"an exclude within the subnet", prefixes("10.1.2.3/24"), prefixes("10.1.2.128/25"), []string{"10.1.2.0/24", "224.0.0.0/4"}},
		{"an exclude that covers the subnet", prefixes("10.1.2.3/24"), prefixes("10.0.0.0/8"), []string{"10.0.0.0/8", "224.0.0.0/4"}},
		{"an exclude that covers several, each within another", prefixes("10.1.2.3/24"), prefixes("10.1.2.7/32", "10.1.0.0/16", "10.1.2.0/25", "10.0.0.0/8"), []string{"10.0.0.0/8", "224.0.0.0/4"}},
		{"an exclude of everything", prefixes("10.1.2.3/24"), prefixes("0.0.0.0/0", "192.0.2.0/24"), []string{"0.0.0.0/0"}},
		{"duplicates, host bits and no order", prefixes("10.1.2.3/24", "10.1.2.4/24"), prefixes("192.0.2.9/24", "8.8.8.8/32", "192.0.2.0/24"), []string{"8.8.8.8/32", "10.1.2.0/24", "192.0.2.0/24", "224.0.0.0/4"}},
		{"two subnets", prefixes("10.2.0.3/16", "10.1.2.4/24"), nil, []string{"10.1.2.0/24", "10.2.0.0/16", "224.0.0.0/4"}},
		{"a single address", prefixes("10.1.2.3/32"), nil, []string{"10.1.2.3/32", "224.0.0.0/4"}},
		{"none", nil, prefixes("10.0.0.0/8"), nil},
	} {
		e := Entry{Addresses: tc.addresses, Exclude: tc.exclude}
		if diff := cmp.Diff(tc.want, texts(e.exclusions())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
		slices.Reverse(e.Exclude)
		if diff := cmp.Diff(tc.want, texts(e.exclusions())); diff != "" {
			t.Errorf("%s, in reverse order (-want +got):\n%s", tc.name, diff)
		}
	}
}

// chunks returns each key once, and at most atOnce elements in each chunk.
//
// Claim: Concurrent building, publishing and withdrawing give one table with each attachment's own elements and no others, with 700
// attachments and 300 networks too
func TestChunks(t *testing.T) {
	var all []element
	for i := range 2*atOnce + 1 {
		address := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		all = append(all, element{set: "masq4", key: ifnameBytes("cni0") + addrBytes(address), comment: "first"},
			element{set: "masq4", key: ifnameBytes("cni0") + addrBytes(address), comment: "second"})
	}
	var sizes []int
	for n, chunk := range chunks(all) {
		if n != len(sizes) {
			t.Errorf("chunk %d is numbered %d", len(sizes), n)
		}
		sizes = append(sizes, len(chunk))
		for _, e := range chunk {
			if e.comment != "first" {
				t.Fatalf("%s has the %s of two owners", e.text(), e.comment)
			}
		}
	}
	if want := fmt.Sprint([]int{atOnce, atOnce, 1}); fmt.Sprint(sizes) != want {
		t.Errorf("chunks of %v, want %s", sizes, want)
	}
}
