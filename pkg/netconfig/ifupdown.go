package netconfig

import (
	"fmt"
	"net/netip"
	"strings"
)

// ifupdown returns the file of ifupdown (interfaces(5)) with the options of the package bridge-utils
// (bridge-utils-interfaces(5)). Debian's /etc/network/interfaces reads the directory.
func ifupdown(b *Bridge) ([]File, []string) {
	routes, notes := b.usual()
	notes = append(notes, "ifupdown needs the package bridge-utils")
	var t text
	t.line("%s\niface %s inet manual\niface %s inet6 manual\n\nauto %s", heading, b.Port, b.Port, b.Name)
	method4, method6 := ifupdownMethods(b)
	t.line("iface %s inet %s\n\tbridge_ports %s\n\tbridge_hw %s\n\tbridge_stp off\n\tbridge_fd 0", b.Name, method4, b.Port, b.MAC)
	if b.MTU != ethernetMTU {
		t.line("\tmtu %d", b.MTU)
	}
	ifupdownFamily(&t, b, routes, true)
	if len(b.DNS) > 0 {
		t.line("\tdns-nameservers %s", join(b.DNS, " "))
	}
	if len(b.Search) > 0 {
		t.line("\tdns-search %s", strings.Join(b.Search, " "))
	}
	t.line("\niface %s inet6 %s", b.Name, method6)
	ifupdownFamily(&t, b, routes, false)
	return []File{{"/etc/network/interfaces.d/patchbay-" + b.Name, 0o644, t.String()}}, notes
}

func ifupdownMethods(b *Bridge) (method4, method6 string) {
	method4, method6 = "manual", "manual"
	switch {
	case b.DHCP4:
		method4 = "dhcp"
	case len(b.family(true)) > 0:
		method4 = "static"
	}
	switch {
	case b.DHCP6:
		method6 = "dhcp"
	case len(b.family(false)) > 0:
		method6 = "static"
	case b.AcceptRA:
		method6 = "auto"
	}
	return method4, method6
}

// ifupdownFamily writes addresses and routes of one family: the first address by its own option, the others by ip(8).
func ifupdownFamily(t *text, b *Bridge, routes []Route, is4 bool) {
	addresses := b.family(is4)
	own := is4 && !b.DHCP4 || !is4 && !b.DHCP6
	if !is4 && own && len(addresses) > 0 && b.AcceptRA {
		t.line("\taccept_ra 1\n\tautoconf 1")
	}
	for i, address := range addresses {
		if i == 0 && own {
			t.line("\taddress %s", address)
			continue
		}
		t.line("\tup %s", ipCommand(address, b.Name))
	}
	for _, r := range routes {
		if r.is4() == is4 {
			t.line("\tup %s", routeCommand(r, b.Name))
		}
	}
}

func ipCommand(address netip.Prefix, bridge string) string {
	return strings.Join([]string{"ip", "address", "add", address.String(), "dev", bridge}, " ")
}

func routeCommand(r Route, bridge string) string {
	words := []string{"ip", "route", "add", r.To.String()}
	if !r.is4() {
		words[0] = "ip -6"
	}
	if r.Gateway.IsValid() {
		words = append(words, "via", r.Gateway.String())
	}
	words = append(words, "dev", bridge)
	if r.OnLink {
		words = append(words, "onlink")
	}
	if r.Source.IsValid() {
		words = append(words, "src", r.Source.String())
	}
	if r.Metric != 0 {
		words = append(words, "metric", fmt.Sprint(r.Metric))
	}
	if r.Table != mainTable {
		words = append(words, "table", fmt.Sprint(r.Table))
	}
	if r.MTU != 0 {
		words = append(words, "mtu", fmt.Sprint(r.MTU))
	}
	return strings.Join(words, " ")
}
