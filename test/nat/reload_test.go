package nat

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// reload runs the command for people and returns what it said.
func reload(t *testing.T, h *nettest.Node) string {
	t.Helper()
	return h.Run(t, nettest.Patchbay(t), "reload")
}

// inside is all that could be touched in a container: its link with its statistics left out, its
// addresses with their lifetimes, its routes and neighbours' keys, its sysctls.
func inside(t *testing.T, c *nettest.Container) string {
	t.Helper()
	return c.Run(t, "ip", "-d", "link", "show", "eth0") + c.Run(t, "ip", "address") + c.Run(t, "ip", "route") + c.Run(t, "ip", "-6", "route")
}

func hidden(t *testing.T, c *nettest.Container, lan *nettest.LAN) {
	t.Helper()
	sees(t, pings(t, c.Netns, lan.Outside, nettest.LANOutside4), netip.MustParseAddr(nettest.LANHost4))
	sees(t, pings(t, c.Netns, lan.Outside, nettest.LANOutside6), netip.MustParseAddr(nettest.LANHost6))
}

// silent is that the outside answers nobody: it has no way back to a container's own address.
func silent(t *testing.T, c *nettest.Container) {
	t.Helper()
	if r := c.Ping(netip.MustParseAddr(nettest.LANOutside4), nettest.PingOptions{Timeout: 100e6}); r.Received > 0 {
		t.Errorf("it still works: %s", r)
	}
}

// After somebody has flushed the ruleset, CHECK says so and what to do, and that does it.
func TestReloadAfterFlush(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, set func(*nettest.Node)) {
		h := nettest.Host(t)
		lan := h.LAN(t)
		set(h)
		nettest.Need(t, nettest.Tool("nft"))
		config := network("nat", "cni0", masq, subnet4, subnet6)
		c := h.Container("web")
		result := h.CNI(t, call("ADD", c, config)).OK(t).Stdout
		before, rules := inside(t, c), h.Run(t, "nft", "list", "ruleset")
		hidden(t, c, lan)
		h.Run(t, "nft", "flush", "ruleset")
		silent(t, c)
		e := check(t, h, c, config, result).Error(t)
		if e.Code != 106 || !strings.Contains(e.Msg, "table inet patchbay of nftables is gone") || !strings.Contains(e.Details, "patchbay reload") {
			t.Errorf("CHECK says %+v", e)
		}
		if said := reload(t, h); said != "table inet patchbay of nftables built anew, for 1 attachments\n" {
			t.Errorf("reload says %q", said)
		}
		hidden(t, c, lan)
		check(t, h, c, config, result).OK(t)
		if got := inside(t, c); got != before {
			t.Errorf("the container was\n%s\nand is\n%s", before, got)
		}
		if got := h.Run(t, "nft", "list", "ruleset"); got != rules {
			t.Errorf("the ruleset was\n%s\nand is\n%s", rules, got)
		}
		del(t, h, c, config)
	})
}

// The next ADD of anybody mends it too, for all.
func TestAddAfterFlush(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	nettest.Need(t, nettest.Tool("nft"))
	config, elsewhere := network("nat", "cni0", masq, subnet4, subnet6), network("far", "cni1", masq+`"stateDir": "/run/far",`, "10.99.0.0/24")
	first, second, third := h.Container("first"), h.Container("second"), h.Container("third")
	add(t, h, first, config)
	add(t, h, third, elsewhere)
	h.Run(t, "nft", "flush", "ruleset")
	silent(t, first)
	add(t, h, second, config)
	hidden(t, first, lan)
	hidden(t, second, lan)
	// Its records are in another state directory, which the first ADD there has noted.
	sees(t, pings(t, third.Netns, lan.Outside, nettest.LANOutside4), netip.MustParseAddr(nettest.LANHost4))
	del(t, h, first, config)
	del(t, h, second, config)
	del(t, h, third, elsewhere)
}

// Who was unplugged, or lost the bridge itself, is plugged in again; who was plugged in elsewhere is left.
func TestReloadPlugsIn(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	config := network("nat", "cni0", masq+`"hairpinMode": true,`, subnet4, subnet6)
	c := h.Container("web")
	answer := h.CNI(t, call("ADD", c, config)).OK(t)
	cable := answer.Result(t).Interfaces[1].Name
	before := inside(t, c)
	for _, harm := range []string{"link set " + cable + " nomaster", "link del cni0"} {
		h.Run(t, "ip", strings.Fields(harm)...)
		silent(t, c)
		said := reload(t, h)
		if !strings.Contains(said, cable+" plugged into bridge cni0 again, for nat/"+c.ID()+"/eth0\n") {
			t.Errorf("after ip %s reload says %q", harm, said)
		}
		h.Settle("cni0")
		hidden(t, c, lan)
		if got := inside(t, c); got != before {
			t.Errorf("the container was\n%s\nand is\n%s", before, got)
		}
		if flags := h.Run(t, "bridge", "-d", "link", "show", "dev", cable); !strings.Contains(flags, "hairpin on") {
			t.Errorf("the port has lost its flags: %s", flags)
		}
	}
	h.Run(t, "ip", "link", "add", "other", "type", "bridge")
	h.Run(t, "ip", "link", "set", cable, "master", "other")
	if said := reload(t, h); strings.Contains(said, cable) {
		t.Errorf("somebody has plugged %s into another bridge, and reload says %q", cable, said)
	}
	del(t, h, c, config)
}

// Somebody has made the host no router any more: CHECK says so, and reload makes it one again.
func TestReloadForwards(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	config := network("nat", "cni0", masq, subnet4, subnet6)
	c := h.Container("web")
	result := h.CNI(t, call("ADD", c, config)).OK(t).Stdout
	h.SetSysctl("net/ipv4/ip_forward", "0")
	h.SetSysctl("net/ipv6/conf/all/forwarding", "0")
	silent(t, c)
	if e := check(t, h, c, config, result).Error(t); e.Code != 106 || !strings.Contains(e.Msg, "does not forward IPv4") || !strings.Contains(e.Details, "patchbay reload") {
		t.Errorf("CHECK says %+v", e)
	}
	if said := reload(t, h); !strings.Contains(said, "the host forwards IPv4 again\nthe host forwards IPv6 again\n") {
		t.Errorf("reload says %q", said)
	}
	hidden(t, c, lan)
	del(t, h, c, config)
}

// On a host that never masqueraded reload does nothing, and says nothing.
func TestReloadOfNothing(t *testing.T) {
	h := nettest.Host(t)
	h.Oracle(nettest.CleanHost)
	if said := reload(t, h); said != "" {
		t.Errorf("reload says %q", said)
	}
}

// The picture says who leaves with the host's address, and when that is no longer so.
func TestShowTellsOfTheRuleset(t *testing.T) {
	h := nettest.Host(t)
	plain, hidden := network("plain", "cni1", "", "10.99.0.0/24"), network("nat", "cni0", masq, subnet4)
	a, b := h.Container("a"), h.Container("b")
	add(t, h, a, plain)
	add(t, h, b, hidden)
	show := func() string { return h.Run(t, nettest.Patchbay(t), "show", "-ascii") }
	const lost = "table inet patchbay of nftables is gone, and with it the masquerade of"
	if picture := show(); strings.Count(picture, "outside sees the host ") != 1 || strings.Contains(picture, lost) {
		t.Errorf("the picture is\n%s", picture)
	}
	h.Run(t, "nft", "flush", "ruleset")
	if picture := show(); !strings.Contains(picture, lost) || !strings.Contains(picture, "patchbay reload") {
		t.Errorf("after a flush the picture is\n%s", picture)
	}
	del(t, h, a, plain)
	del(t, h, b, hidden)
}
