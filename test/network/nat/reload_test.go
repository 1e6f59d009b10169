package nat

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// reload runs `patchbay reload` and returns its output.
func reload(t *testing.T, h *nettest.Node) string {
	t.Helper()
	return h.Run(t, nettest.Patchbay(t), "reload")
}

// inside returns link, addresses and routes of a container.
func inside(t *testing.T, c *nettest.Container) string {
	t.Helper()
	return c.Run(t, "ip", "-d", "link", "show", "eth0") + c.Run(t, "ip", "address") + c.Run(t, "ip", "route") + c.Run(t, "ip", "-6", "route")
}

func masqueraded(t *testing.T, c *nettest.Container, lan *nettest.LAN) {
	t.Helper()
	sees(t, pings(t, c.Netns, lan.Outside, nettest.LANOutside4), netip.MustParseAddr(nettest.LANHost4))
	sees(t, pings(t, c.Netns, lan.Outside, nettest.LANOutside6), netip.MustParseAddr(nettest.LANHost6))
}

// silent checks that the remote host does not reply: it has no route to the container's address.
func silent(t *testing.T, c *nettest.Container) {
	t.Helper()
	if r := c.Ping(netip.MustParseAddr(nettest.LANOutside4), nettest.PingOptions{Timeout: 100e6}); r.Received > 0 {
		t.Errorf("got a reply: %s", r)
	}
}

// TestReloadAfterFlush: after a flush of the ruleset CHECK reports the missing table and the remedy, and the remedy works.
//
// Claim: After `nft flush ruleset`, `patchbay reload` restores connectivity without touching a container; CHECK reports the loss before;
// the next ADD of any attachment repairs it too
func TestReloadAfterFlush(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, set func(*nettest.Node)) {
		h := nettest.Host(t)
		lan := h.LAN(t)
		set(h)
		nettest.Need(t, nettest.Tool("nft"))
		config := gatewayNetwork("nat", cni.Masquerade(), cni.Pool(subnet4, subnet6))
		c := h.Container("web")
		result := h.CNI(t, cni.Call(t, "ADD", c, config)).OK(t).Stdout
		before, rules := inside(t, c), h.Run(t, "nft", "list", "ruleset")
		masqueraded(t, c, lan)
		h.Run(t, "nft", "flush", "ruleset")
		silent(t, c)
		e := cni.Check(t, h, c, config.With(cni.Prev(result))).Error(t)
		if e.Code != 106 || !strings.Contains(e.Msg, "table inet patchbay of nftables is missing") || !strings.Contains(e.Details, "patchbay reload") {
			t.Errorf("CHECK says %+v", e)
		}
		if said := reload(t, h); said != "table inet patchbay of nftables built anew, for 1 attachments\n" {
			t.Errorf("reload says %q", said)
		}
		masqueraded(t, c, lan)
		cni.Check(t, h, c, config.With(cni.Prev(result))).OK(t)
		if got := inside(t, c); got != before {
			t.Errorf("the container was\n%s\nand is\n%s", before, got)
		}
		if got := h.Run(t, "nft", "list", "ruleset"); got != rules {
			t.Errorf("the ruleset was\n%s\nand is\n%s", rules, got)
		}
		cni.Del(t, h, c, config)
	})
}

// TestAddAfterFlush: the next ADD of any container restores the rules of all.
//
// Claim: After `nft flush ruleset`, `patchbay reload` restores connectivity without touching a container; CHECK reports the loss before;
// the next ADD of any attachment repairs it too
func TestAddAfterFlush(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	nettest.Need(t, nettest.Tool("nft"))
	config, elsewhere := gatewayNetwork("nat", cni.Masquerade(), cni.Pool(subnet4, subnet6)), gatewayNetwork("far", cni.Conf{"bridge": "cni1"}, cni.Masquerade(), cni.Conf{"stateDir": "/run/far"}, cni.Pool("10.99.0.0/24"))
	first, second, third := h.Container("first"), h.Container("second"), h.Container("third")
	add(t, h, first, config)
	add(t, h, third, elsewhere)
	h.Run(t, "nft", "flush", "ruleset")
	silent(t, first)
	add(t, h, second, config)
	masqueraded(t, first, lan)
	masqueraded(t, second, lan)
	// The record of third is in another state directory, which its ADD registered.
	sees(t, pings(t, third.Netns, lan.Outside, nettest.LANOutside4), netip.MustParseAddr(nettest.LANHost4))
	cni.Del(t, h, first, config)
	cni.Del(t, h, second, config)
	cni.Del(t, h, third, elsewhere)
}

// TestReloadPlugsIn: reload returns host interfaces to their bridge after nomaster or deletion of the bridge; those in another bridge stay there.
//
// Claim: `reload` attaches host interfaces that lost their bridge, with the bridge's MAC, gateways and port flags, and enables forwarding
// again; where nothing is missing it changes nothing
func TestReloadPlugsIn(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	config := gatewayNetwork("nat", cni.Masquerade(), cni.Conf{"hairpinMode": true}, cni.Pool(subnet4, subnet6))
	c := h.Container("web")
	answer := h.CNI(t, cni.Call(t, "ADD", c, config)).OK(t)
	hostIf := answer.Result(t).Interfaces[1].Name
	before := inside(t, c)
	for _, harm := range []string{"link set " + hostIf + " nomaster", "link del cni0"} {
		h.Run(t, "ip", strings.Fields(harm)...)
		silent(t, c)
		said := reload(t, h)
		if !strings.Contains(said, hostIf+" is a port of bridge cni0 again, for nat/"+c.ID()+"/eth0\n") {
			t.Errorf("after ip %s reload says %q", harm, said)
		}
		h.Settle("cni0")
		masqueraded(t, c, lan)
		if got := inside(t, c); got != before {
			t.Errorf("the container was\n%s\nand is\n%s", before, got)
		}
		if flags := h.Run(t, "bridge", "-d", "link", "show", "dev", hostIf); !strings.Contains(flags, "hairpin on") {
			t.Errorf("the bridge port has lost its flags: %s", flags)
		}
	}
	h.Run(t, "ip", "link", "add", "other", "type", "bridge")
	h.Run(t, "ip", "link", "set", hostIf, "master", "other")
	if said := reload(t, h); strings.Contains(said, hostIf) {
		t.Errorf("%s is in another bridge, and reload says %q", hostIf, said)
	}
	cni.Del(t, h, c, config)
}

// TestReloadForwards: CHECK reports disabled IP forwarding, and reload enables it again.
//
// Claim: `reload` attaches host interfaces that lost their bridge, with the bridge's MAC, gateways and port flags, and enables forwarding
// again; where nothing is missing it changes nothing
func TestReloadForwards(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	config := gatewayNetwork("nat", cni.Masquerade(), cni.Pool(subnet4, subnet6))
	c := h.Container("web")
	result := h.CNI(t, cni.Call(t, "ADD", c, config)).OK(t).Stdout
	h.SetSysctl("net/ipv4/ip_forward", "0")
	h.SetSysctl("net/ipv6/conf/all/forwarding", "0")
	silent(t, c)
	if e := cni.Check(t, h, c, config.With(cni.Prev(result))).Error(t); e.Code != 106 || !strings.Contains(e.Msg, "no longer forwards IPv4") || !strings.Contains(e.Details, "patchbay reload") {
		t.Errorf("CHECK says %+v", e)
	}
	if said := reload(t, h); !strings.Contains(said, "the host forwards IPv4 again\nthe host forwards IPv6 again\n") {
		t.Errorf("reload says %q", said)
	}
	masqueraded(t, c, lan)
	cni.Del(t, h, c, config)
}

// TestReloadOfNothing: without attachments reload does nothing and prints nothing.
//
// Claim: `reload` attaches host interfaces that lost their bridge, with the bridge's MAC, gateways and port flags, and enables forwarding
// again; where nothing is missing it changes nothing
func TestReloadOfNothing(t *testing.T) {
	h := nettest.Host(t)
	h.Oracle(nettest.CleanHost)
	if said := reload(t, h); said != "" {
		t.Errorf("reload says %q", said)
	}
}

// TestShowReportsTheRuleset: show names masqueraded attachments, and reports a missing ruleset.
//
// Claim: The picture shows which attachments are masqueraded, and a ruleset that has lost them
func TestShowReportsTheRuleset(t *testing.T) {
	h := nettest.Host(t)
	plain, masqueraded := gatewayNetwork("plain", cni.Conf{"bridge": "cni1"}, cni.Pool("10.99.0.0/24")), gatewayNetwork("nat", cni.Masquerade(), cni.Pool(subnet4))
	a, b := h.Container("a"), h.Container("b")
	add(t, h, a, plain)
	add(t, h, b, masqueraded)
	show := func() string { return h.Run(t, nettest.Patchbay(t), "show", "-ascii") }
	const lost = "table inet patchbay of nftables is missing, and with it masquerading of"
	if picture := show(); strings.Count(picture, "outside sees the host ") != 1 || strings.Contains(picture, lost) {
		t.Errorf("the picture is\n%s", picture)
	}
	h.Run(t, "nft", "flush", "ruleset")
	if picture := show(); !strings.Contains(picture, lost) || !strings.Contains(picture, "patchbay reload") {
		t.Errorf("after a flush the picture is\n%s", picture)
	}
	cni.Del(t, h, a, plain)
	cni.Del(t, h, b, masqueraded)
}
