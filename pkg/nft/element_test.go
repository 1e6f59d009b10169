package nft

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func elementsDiffer() cmp.Option { return cmp.AllowUnexported(element{}) }

// An encoded element is decoded to the same element.
//
// Claim: Elements are read as they are written, whatever elements others have added
func TestElementsAreReadAsTheyAreWritten(t *testing.T) {
	for _, e := range []Entry{
		{Network: "net", Bridge: "cni0", Owner: "patchbay:0123456789ab net/c/eth0", Addresses: prefixes("10.1.2.3/24", "2001:db8::3/64")},
		{Network: "net", Bridge: "cni0", HostInterface: "veth0", Owner: "patchbay:0123456789ab net/c/eth0", Isolation: Isolated, MarkBit: 20, MasqueradeAll: true, Ports: []Port{
			{Proto: 6, HostPort: 8080, Container: netip.MustParseAddrPort("10.1.2.3:80")},
			{Proto: 132, HostIP: netip.MustParseAddr("2001:db8:1::1"), HostPort: 65535, Container: netip.MustParseAddrPort("[2001:db8::3]:1")},
		}},
		{Network: "n.e-t", Bridge: "fifteen-letters", Owner: "patchbay:0123456789ab", Addresses: prefixes("0.0.0.0/0", "::/0", "255.255.255.255/32")},
		{Network: "net", Bridge: "b", Owner: "patchbay:0123456789ab " + strings.Repeat("x", maxComment), Addresses: prefixes("10.1.2.3/24")},
	} {
		for _, want := range e.elements() {
			body, err := elementsMessage([]element{want}, true)
			if err != nil {
				t.Fatal(err)
			}
			got, err := decodeElements(body)
			if err != nil {
				t.Fatal(err)
			}
			want.set = "" // elementsOf sets it for all elements of an answer
			if diff := cmp.Diff([]element{want}, got, elementsDiffer()); diff != "" {
				t.Errorf("-written +read:\n%s", diff)
			}
			if len(want.comment) > maxComment {
				t.Errorf("a comment of %d bytes; nft(8) reads %d", len(want.comment), maxComment)
			}
		}
	}
}

// A request to delete or to look up has the key alone, without chain and owner.
//
// Claim: Elements are read as they are written, whatever elements others have added
func TestElementKeyAlone(t *testing.T) {
	e := Entry{Network: "net", Bridge: "cni0", Owner: "patchbay:1 x", Addresses: prefixes("10.1.2.3/24")}.elements()[0]
	body, err := elementsMessage([]element{e}, false)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(body, []byte("masq_net")) || bytes.Contains(body, []byte("patchbay:1")) {
		t.Errorf("more than the key: %q", body)
	}
	got, err := decodeElements(body)
	if diff := cmp.Diff([]element{{key: e.key}}, got, elementsDiffer()); err != nil || diff != "" {
		t.Errorf("%v (-written +read):\n%s", err, diff)
	}
}

// Claim: Elements are read as they are written, whatever elements others have added
func TestOwnerID(t *testing.T) {
	for comment, want := range map[string]string{"": "", "patchbay:1": "patchbay:1", "patchbay:1 net/c/eth0": "patchbay:1", "patchbay:1  x y": "patchbay:1"} {
		if got := ownerID(comment); got != want {
			t.Errorf("ownerID(%q) = %q, want %q", comment, got, want)
		}
	}
}

// Any bytes: no panic, and a decoded element can be encoded, and decoded to the same.
//
// Claim: Elements are read as they are written, whatever elements others have added
func FuzzDecodeElements(f *testing.F) {
	e := Entry{Network: "net", Bridge: "cni0", Owner: "patchbay:0123456789ab net/c/eth0", Addresses: prefixes("10.1.2.3/24", "2001:db8::3/64")}
	for _, e := range e.elements() {
		for _, whole := range []bool{true, false} {
			body, err := elementsMessage([]element{e}, whole)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(body)
			f.Add(body[:len(body)-5])
			f.Add(body[:len(body)/2])
		}
	}
	f.Add([]byte{})
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := decodeElements(data)
		if err != nil {
			return
		}
		for _, e := range all {
			switch {
			case e.key == "", strings.ContainsRune(e.chain+e.comment, 0), len(e.comment) > maxComment, e.chain != "" && e.target != "":
				continue // not an element that this package encodes
			case e.chain != "":
				e.set = "masq4"
			case e.target != "":
				e.set = "publish4"
			default:
				e.set = "self4"
			}
			body, err := elementsMessage([]element{e}, true)
			if err != nil {
				t.Fatalf("cannot encode a decoded element: %v", err)
			}
			again, err := decodeElements(body)
			e.set = ""
			if diff := cmp.Diff([]element{e}, again, elementsDiffer()); err != nil || diff != "" {
				t.Errorf("%v (-read +read again):\n%s", err, diff)
			}
		}
	})
}
