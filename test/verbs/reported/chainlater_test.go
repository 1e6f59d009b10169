package reported

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const ofLater = "CHECK allows for changes by later plugins of the list"

func later() []row {
	return []row{
		{"22", "the reference tuning with mtu, mac and more after Patchbay", ofLater, tuned},
		{"22.1", "the reference sbr after Patchbay", ofLater, routedBySource},
		{"22.2", "a later plugin flushes the routes, as route-override does", ofLater, routesFlushed},
		{"22.3", "a later plugin deletes the default route, as route-override does", ofLater, gatewayFlushed},
		{"22.4", "a later plugin deletes an address", ofLater, addressTaken},
		{"22.5", "a later plugin adds an address and a route, and returns no interface", ofLater, ownThings},
		{"22.6", "later tuning and sbr: a lost address is still found", ofLater, stillFound("addr del 10.1.0.2/24 dev eth0", "lost address 10.1.0.2/24")},
		{"22.7", "later tuning and sbr: a route lost from every table is still found", ofLater, stillFound("-6 route flush table all exact default dev eth0", "lost the route ::/0")},
		{"22.8", "later tuning and sbr: a host interface that is no bridge port is still found", ofLater, unpluggedIsFound},
	}
}

// behind returns a list with a network of both families and other plugins after it.
func behind(t *testing.T, h *nettest.Node, dir string, others ...cni.Conf) *list {
	t.Helper()
	return newList(t, h, dir, plugins(append([]cni.Conf{routed()}, others...)...))
}

func tuning() cni.Conf {
	return cni.Conf{
		"type": "tuning", "mtu": 1400, "mac": "02:00:00:00:53:22", "promisc": true, "allmulti": true, "txQLen": 50,
		"sysctl": cni.Conf{"net.ipv4.conf.IFNAME.arp_filter": "1"},
	}
}

func tuned(t *testing.T) {
	h := nettest.Host(t)
	l := behind(t, h, pluginDir(t, "tuning"), tuning())
	l.add(t)
	eth0, err := l.c.Netlink().LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "MTU", eth0.Attrs().MTU, 1400)
	expect.Equal(t, "MAC", l.c.MAC("eth0"), "02:00:00:00:53:22")
	expect.Equal(t, "CHECK", l.check(), nil)
	l.del(t)
	l.cycle(t)
}

func routedBySource(t *testing.T) {
	h := nettest.Host(t)
	l := behind(t, h, pluginDir(t, "sbr"), cni.Conf{"type": "sbr"})
	l.add(t)
	expect.Equal(t, "routes of the main table", strings.Fields(l.c.Run(t, "ip", "route", "show", "default")), []string{})
	expect.Contains(t, l.c.Run(t, "ip", "route", "show", "table", "100"), "default via 10.1.0.1 dev eth0")
	expect.Equal(t, "CHECK", l.check(), nil)
	l.c.Run(t, "ping", "-c1", "-W2", "-I", "10.1.0.2", "10.1.0.1")
	l.c.Run(t, "ping", "-c1", "-W2", "-I", "fd00:1::2", "fd00:1::1")
	l.del(t)
	h.NoLeaks(t)
}

// plugin writes a plugin that runs commands in the container at ADD, and passes prevResult through a jq filter.
func plugin(t *testing.T, dir, name, commands, filter string) {
	t.Helper()
	nettest.Need(t, nettest.Tool("jq"), nettest.Tool("nsenter"))
	writeProgram(t, dir, name, fmt.Sprintf(`conf=$(cat)
[ "$CNI_COMMAND" = ADD ] || exit 0
nsenter --net="$CNI_NETNS" sh -ec '%s' >&2
printf %%s "$conf" | jq '.cniVersion as $v | .prevResult | .cniVersion = $v | %s'`, commands, filter))
}

func routesFlushed(t *testing.T) {
	h, dir := nettest.Host(t), pluginDir(t)
	plugin(t, dir, "flush", "ip route del default; ip -6 route del default", ".routes = []")
	l := behind(t, h, dir, cni.Conf{"type": "flush"})
	expect.Equal(t, "routes of the result", len(l.cycle(t).Routes), 0)
}

func gatewayFlushed(t *testing.T) {
	h, dir := nettest.Host(t), pluginDir(t)
	plugin(t, dir, "flush", "ip route del default", `.routes |= map(select(.dst != "0.0.0.0/0")) | .ips[0].gateway = "0.0.0.0" | .ips[1].gateway = "::"`)
	l := behind(t, h, dir, cni.Conf{"type": "flush"})
	expect.Equal(t, "routes of the result", len(l.cycle(t).Routes), 1)
}

func addressTaken(t *testing.T) {
	h, dir := nettest.Host(t), pluginDir(t)
	plugin(t, dir, "narrow", "ip addr del fd00:1::2/64 dev eth0", `.ips |= .[:1] | .routes |= map(select(.dst != "::/0"))`)
	l := behind(t, h, dir, cni.Conf{"type": "narrow"})
	expect.Equal(t, "addresses", addressesOf(l.cycle(t)), []string{"10.1.0.2/24"})
}

func ownThings(t *testing.T) {
	h, dir := nettest.Host(t), pluginDir(t)
	plugin(t, dir, "more", "ip addr add 192.0.2.7/24 dev lo", `del(.interfaces) | .ips |= map(del(.interface)) | .ips += [{"address": "192.0.2.7/24"}] | .routes += [{"dst": "198.51.100.0/24", "gw": "192.0.2.1"}]`)
	l := behind(t, h, dir, cni.Conf{"type": "more"})
	l.add(t)
	expect.Equal(t, "CHECK", l.check(), nil)
	l.del(t)
	l.c.Run(t, "ip", "addr", "del", "192.0.2.7/24", "dev", "lo")
}

// stillFound removes something in the container, and requires that CHECK names it.
func stillFound(command, what string) func(*testing.T) {
	return func(t *testing.T) {
		l := tunedAndRouted(t)
		l.c.Run(t, "ip", words(command)...)
		expect.Contains(t, drift(t, l.check()), what)
		l.del(t)
	}
}

func tunedAndRouted(t *testing.T) *list {
	t.Helper()
	h := nettest.Host(t)
	l := behind(t, h, pluginDir(t, "tuning", "sbr"), tuning(), cni.Conf{"type": "sbr"})
	h.NoOracle("sbr leaves the rule of an address that is gone before its DEL")
	l.add(t)
	expect.Equal(t, "CHECK", l.check(), nil)
	return l
}

func unpluggedIsFound(t *testing.T) {
	l := tunedAndRouted(t)
	port, _, _ := strings.Cut(l.h.Run(t, "ip", "-br", "link", "show", "master", "cni0"), "@")
	l.h.Run(t, "ip", "link", "set", port, "nomaster")
	expect.Contains(t, drift(t, l.check()), "is not a port of bridge cni0")
	l.del(t)
}

// drift returns what a CHECK that failed has found.
func drift(t *testing.T, err error) string {
	t.Helper()
	var e *types.Error
	if !errors.As(err, &e) || e.Code != 106 {
		t.Fatalf("CHECK: %v, want code 106", err)
	}
	return e.Msg + "; " + e.Details
}
