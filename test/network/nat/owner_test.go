package nat

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// overlapping returns two networks with the same subnet on the same bridge.
func overlapping() (one, other cni.Conf) {
	return gatewayNetwork("one", cni.Masquerade(), cni.Pool(subnet4)), gatewayNetwork("other", cni.Masquerade(), cni.Pool(subnet4))
}

// TestAddressOfALiveAttachmentIsRefused: an address of a live attachment of another network on the bridge is not allocated again: a request for
// it fails and names the container, the pool skips it, and the element of the first attachment stays.
//
// Claim: An address in the ruleset belongs to one attachment: a live attachment's is refused by name, a stale one's is replaced, a late
// DEL removes nothing of another attachment
func TestAddressOfALiveAttachmentIsRefused(t *testing.T) {
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	one, other := overlapping()
	a, b := h.Container("a"), h.Container("b")
	add(t, h, a, one)
	before := h.Run(t, "nft", "list", "ruleset")
	requested := cni.Call(t, "ADD", b, other)
	requested.Args = "IP=10.88.0.2"
	e := h.CNI(t, requested).Error(t)
	if want := "10.88.0.2 is the address of container " + a.ID() + " of network one on the same bridge"; e.Code != 107 || !strings.Contains(e.Msg, want) {
		t.Errorf("got %+v, want code 107 and %q", e, want)
	}
	if got := h.Run(t, "nft", "list", "ruleset"); withoutChains(got) != withoutChains(before) {
		t.Errorf("the ruleset was\n%s\nand is\n%s", before, got)
	}
	if r := h.CNI(t, cni.Call(t, "ADD", b, other)).Result(t); r.IPs[0].Address.IP.String() != "10.88.0.3" {
		t.Errorf("the pool gave %s", r.IPs[0].Address.String())
	}
	cni.Del(t, h, b, other)
	if got := h.Run(t, "nft", "list", "map", "inet", "patchbay", "masq4"); !strings.Contains(got, "10.88.0.2") {
		t.Errorf("the DEL of the second attachment removed the element of the first:\n%s", got)
	}
	cni.Del(t, h, a, one)
}

// withoutChains returns the elements of a listing, without chains, which an ADD may add.
func withoutChains(listing string) string {
	var maps []string
	for line := range strings.Lines(listing) {
		if strings.Contains(line, "elements = ") || strings.Contains(line, " comment \"patchbay:") {
			maps = append(maps, line)
		}
	}
	return strings.Join(maps, "")
}

// TestElementOfAStaleAttachmentIsReplaced: elements of a deleted container without a record are replaced, and its late DEL, which passes only the
// name of the network, removes nothing of the new attachment.
//
// Claim: An address in the ruleset belongs to one attachment: a live attachment's is refused by name, a stale one's is replaced, a late
// DEL removes nothing of another attachment
func TestElementOfAStaleAttachmentIsReplaced(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	nettest.Need(t, nettest.Tool("nft"))
	one, other := overlapping()
	a, b := h.Container("a"), h.Container("b")
	add(t, h, a, one)
	late := cni.Call(t, "DEL", a, one)
	late.Netns = ""
	a.Run(t, "ip", "link", "del", "eth0") // the kernel deletes a namespace with a delay
	a.Delete()
	remove(t, h, "/run/patchbay/one")
	remove(t, h, "/run/patchbay/ipam/one")
	add(t, h, b, other)
	listing := h.Run(t, "nft", "list", "ruleset")
	if strings.Contains(listing, "one/"+a.ID()) || strings.Count(listing, "other/"+b.ID()+"/eth0") != 2 {
		t.Errorf("want the elements of the second container only:\n%s", listing)
	}
	h.CNI(t, late).OK(t)
	if got := h.Run(t, "nft", "list", "ruleset"); got != listing {
		t.Errorf("the late DEL changed\n%s\nto\n%s", listing, got)
	}
	if r := pings(t, b.Netns, lan.Outside, nettest.LANOutside4); len(r) != 1 {
		t.Errorf("the remote host saw %v", r)
	}
	cni.Del(t, h, b, other)
}

// TestDelWithoutRecordTakesElements: without a record DEL finds the elements by their comment.
//
// Claim: An address in the ruleset belongs to one attachment: a live attachment's is refused by name, a stale one's is replaced, a late
// DEL removes nothing of another attachment
func TestDelWithoutRecordTakesElements(t *testing.T) {
	h := nettest.Host(t)
	one, _ := overlapping()
	a, b := h.Container("a"), h.Container("b")
	add(t, h, a, one)
	add(t, h, b, one)
	remove(t, h, "/run/patchbay/one")
	gone := cni.Call(t, "DEL", a, cni.Conf{"name": "one"})
	gone.Netns = ""
	h.CNI(t, gone).OK(t)
	if got := h.Run(t, "nft", "list", "ruleset"); strings.Contains(got, a.ID()) || strings.Count(got, b.ID()) != 2 {
		t.Errorf("want the elements of the second container only:\n%s", got)
	}
	cni.Del(t, h, b, one)
}
