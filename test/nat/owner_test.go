package nat

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// twins are two networks that give the same addresses on the same bridge.
func twins() (one, other []byte) {
	return network("one", "cni0", masq, subnet4), network("other", "cni0", masq, subnet4)
}

// An address that a living container is masqueraded by is not taken over: the error names it, and
// nothing of who came second is left.
func TestAddressOfTheLivingIsRefused(t *testing.T) {
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	one, other := twins()
	a, b := h.Container("a"), h.Container("b")
	add(t, h, a, one)
	before := h.Run(t, "nft", "list", "ruleset")
	e := h.CNI(t, call("ADD", b, other)).Error(t)
	if e.Code != 107 || !strings.Contains(e.Msg, "10.88.0.2 on bridge cni0 belongs to another attachment") || !strings.Contains(e.Msg, "one/"+a.ID()+"/eth0") {
		t.Errorf("got %+v", e)
	}
	if got := h.Run(t, "nft", "list", "ruleset"); withoutChains(got) != withoutChains(before) {
		t.Errorf("the ruleset was\n%s\nand is\n%s", before, got)
	}
	del(t, h, b, other) // a runtime calls it after every ADD that failed
	if got := h.Run(t, "nft", "list", "map", "inet", "patchbay", "masq4"); !strings.Contains(got, "10.88.0.2") {
		t.Errorf("the DEL of who came second took the element of the first:\n%s", got)
	}
	del(t, h, a, one)
}

// withoutChains leaves the elements of a listing: a network's chains may have come.
func withoutChains(listing string) string {
	var maps []string
	for line := range strings.Lines(listing) {
		if strings.Contains(line, "elements = ") || strings.Contains(line, " comment \"patchbay:") {
			maps = append(maps, line)
		}
	}
	return strings.Join(maps, "")
}

// What is left of a container that is gone with its record gives way, and its late DEL, with nothing
// but a name, takes nothing of the new one's.
func TestElementOfTheDeadGivesWay(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	nettest.Need(t, nettest.Tool("nft"))
	one, other := twins()
	a, b := h.Container("a"), h.Container("b")
	add(t, h, a, one)
	late := call("DEL", a, one)
	late.Netns = ""
	a.Run(t, "ip", "link", "del", "eth0") // at once; with the namespace it goes some time later
	a.Delete()
	remove(t, h, "/run/patchbay/one")
	remove(t, h, "/run/patchbay/ipam/one")
	add(t, h, b, other)
	listing := h.Run(t, "nft", "list", "ruleset")
	if strings.Contains(listing, "one/"+a.ID()) || strings.Count(listing, "other/"+b.ID()+"/eth0") != 2 {
		t.Errorf("want the elements of the second alone:\n%s", listing)
	}
	h.CNI(t, late).OK(t)
	if got := h.Run(t, "nft", "list", "ruleset"); got != listing {
		t.Errorf("the late DEL changed\n%s\nto\n%s", listing, got)
	}
	if r := pings(t, b.Netns, lan.Outside, nettest.LANOutside4); len(r) != 1 {
		t.Errorf("the outside saw %v", r)
	}
	del(t, h, b, other)
}

// Without its record DEL finds the elements by their mark.
func TestDelWithoutRecordTakesElements(t *testing.T) {
	h := nettest.Host(t)
	one, _ := twins()
	a, b := h.Container("a"), h.Container("b")
	add(t, h, a, one)
	add(t, h, b, one)
	remove(t, h, "/run/patchbay/one")
	gone := call("DEL", a, []byte(`{"name": "one"}`))
	gone.Netns = ""
	h.CNI(t, gone).OK(t)
	if got := h.Run(t, "nft", "list", "ruleset"); strings.Contains(got, a.ID()) || strings.Count(got, b.ID()) != 2 {
		t.Errorf("want the elements of the second alone:\n%s", got)
	}
	del(t, h, b, one)
}
