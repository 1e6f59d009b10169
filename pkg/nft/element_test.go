package nft

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func elementsDiffer() cmp.Option { return cmp.AllowUnexported(element{}) }

// What is told to the kernel reads as what the kernel tells.
func TestElementsAreReadAsTheyAreWritten(t *testing.T) {
	for _, e := range []Entry{
		{Network: "net", Bridge: "cni0", Owner: "patchbay:0123456789ab net/c/eth0", Addresses: prefixes("10.1.2.3/24", "2001:db8::3/64")},
		{Network: "net", Bridge: "cni0", HostLink: "veth0", Owner: "patchbay:0123456789ab net/c/eth0", Isolation: Isolated, MarkBit: 20, All: true, Ports: []Port{
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
			want.set = "" // is told for all elements of an answer
			if diff := cmp.Diff([]element{want}, got, elementsDiffer()); diff != "" {
				t.Errorf("-written +read:\n%s", diff)
			}
			if len(want.comment) > maxComment {
				t.Errorf("a comment of %d bytes; nft(8) reads %d", len(want.comment), maxComment)
			}
		}
	}
}

// A key alone, as DEL sends it, tells neither chain nor owner.
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

func TestMark(t *testing.T) {
	for comment, want := range map[string]string{"": "", "patchbay:1": "patchbay:1", "patchbay:1 net/c/eth0": "patchbay:1", "patchbay:1  x y": "patchbay:1"} {
		if got := mark(comment); got != want {
			t.Errorf("mark(%q) = %q, want %q", comment, got, want)
		}
	}
}

// The kernel keeps user data as it was given, and whoever may write the ruleset may give anything.
func TestCommentOf(t *testing.T) {
	for data, want := range map[string]string{
		"": "", "\x00": "", "\x00\x02a\x00": "a", "\x00\x01a": "a", "\x00\x00": "",
		"\x00\xffa": "", "\x07\xff": "", "\x07\x01x\x00\x02a\x00": "a", "\x07\x01x\x00": "",
	} {
		if got := commentOf([]byte(data)); got != want {
			t.Errorf("commentOf(%q) = %q, want %q", data, got, want)
		}
	}
}

// Whatever comes from the socket: no panic, and what was understood can be told again and reads the same.
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
	f.Add(header())
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := decodeElements(data)
		if err != nil {
			return
		}
		for _, e := range all {
			switch {
			case e.key == "", strings.ContainsRune(e.chain+e.comment, 0), len(e.comment) > maxComment, e.chain != "" && e.target != "":
				continue // no element of ours
			case e.chain != "":
				e.set = "masq4"
			case e.target != "":
				e.set = "publish4"
			default:
				e.set = "self4"
			}
			body, err := elementsMessage([]element{e}, true)
			if err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
			again, err := decodeElements(body)
			e.set = ""
			if diff := cmp.Diff([]element{e}, again, elementsDiffer()); err != nil || diff != "" {
				t.Errorf("%v (-read +read again):\n%s", err, diff)
			}
		}
	})
}
