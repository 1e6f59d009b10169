package netconfig

import (
	"strconv"
	"strings"
)

// netplan returns the file of netplan (netplan(5)). It merges all files of its directory, so that another file which configures the port
// has to be changed by hand.
func netplan(b *Bridge) ([]File, []string) {
	routes, notes := b.usual()
	var t text
	t.line("%s\nnetwork:\n  version: 2\n  ethernets:\n    %s:\n      dhcp4: false\n      dhcp6: false\n      accept-ra: false", heading, b.Port)
	t.line("  bridges:\n    %s:\n      interfaces: [%s]\n      macaddress: %q", b.Name, b.Port, b.MAC)
	if b.MTU != ethernetMTU {
		t.line("      mtu: %d", b.MTU)
	}
	t.line("      parameters:\n        stp: false\n        forward-delay: 0")
	t.line("      dhcp4: %v\n      dhcp6: %v\n      accept-ra: %v", b.DHCP4, b.DHCP6, b.AcceptRA)
	if len(b.Addresses) > 0 {
		t.line("      addresses:")
	}
	for _, address := range b.Addresses {
		t.line("        - %q", address)
	}
	if len(b.DNS) > 0 {
		t.line("      nameservers:\n        addresses: [%s]", quotedList(b.DNS))
		if len(b.Search) > 0 {
			t.line("        search: [%s]", strings.Join(b.Search, ", "))
		}
	}
	if len(routes) > 0 {
		t.line("      routes:")
	}
	for _, r := range routes {
		netplanRoute(&t, r)
	}
	return []File{{"/etc/netplan/90-patchbay-" + b.Name + ".yaml", 0o600, t.String()}}, notes
}

// quotedList returns addresses as a list of YAML, in which the colons of IPv6 need quotes.
func quotedList[T interface{ String() string }](all []T) string {
	words := make([]string, len(all))
	for i, one := range all {
		words[i] = strconv.Quote(one.String())
	}
	return strings.Join(words, ", ")
}

func netplanRoute(t *text, r Route) {
	to := r.To.String()
	if r.isDefault() {
		to = "default"
		if !r.Gateway.IsValid() {
			to = r.To.String() // "default" has no family without a gateway
		}
	}
	t.line("        - to: %q", to)
	if r.Gateway.IsValid() {
		t.line("          via: %q", r.Gateway)
	} else {
		t.line("          scope: link")
	}
	if r.OnLink {
		t.line("          on-link: true")
	}
	if r.Source.IsValid() {
		t.line("          from: %q", r.Source)
	}
	if r.Metric != 0 {
		t.line("          metric: %d", r.Metric)
	}
	if r.Table != mainTable {
		t.line("          table: %d", r.Table)
	}
	if r.MTU != 0 {
		t.line("          mtu: %d", r.MTU)
	}
}
