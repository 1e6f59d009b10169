package netconfig

import (
	"fmt"
	"strings"
)

// manager returns the files of NetworkManager (nm-settings-keyfile(5)), which must not be readable by others.
func manager(b *Bridge) ([]File, []string) {
	const dir, mode = "/etc/NetworkManager/system-connections/", 0o600
	routes, notes := b.usual()
	var bridge text
	bridge.line("%s\n[connection]\nid=%s\ntype=bridge\ninterface-name=%s\nautoconnect-priority=100", heading, b.Name, b.Name)
	bridge.line("\n[bridge]\nstp=false\nmac-address=%s", b.MAC)
	if b.MTU != ethernetMTU {
		bridge.line("\n[ethernet]\nmtu=%d", b.MTU)
	}
	managerFamily(&bridge, b, routes, true)
	managerFamily(&bridge, b, routes, false)
	var port text
	port.line("%s\n[connection]\nid=%s-%s\ntype=ethernet\ninterface-name=%s\nmaster=%s\nslave-type=bridge\nautoconnect-priority=100", heading, b.Name, b.Port, b.Port, b.Name)
	return []File{
		{dir + b.Name + ".nmconnection", mode, bridge.String()},
		{dir + b.Name + "-" + b.Port + ".nmconnection", mode, port.String()},
	}, notes
}

// managerFamily writes the section of one family.
func managerFamily(t *text, b *Bridge, routes []Route, is4 bool) {
	section, none, auto := "ipv6", "link-local", b.AcceptRA || b.DHCP6
	if is4 {
		section, none, auto = "ipv4", "disabled", b.DHCP4
	}
	addresses, method := b.family(is4), none
	switch {
	case auto:
		method = "auto"
	case len(addresses) > 0:
		method = "manual"
	}
	t.line("\n[%s]\nmethod=%s", section, method)
	for i, address := range addresses {
		t.line("address%d=%s", i+1, address)
	}
	var servers []string
	for _, server := range b.DNS {
		if server.Is4() == is4 {
			servers = append(servers, server.String())
		}
	}
	if len(servers) > 0 {
		t.line("dns=%s;", strings.Join(servers, ";"))
	}
	if len(b.Search) > 0 && method != none {
		t.line("dns-search=%s;", strings.Join(b.Search, ";"))
	}
	n := 0
	for _, r := range routes {
		if r.is4() == is4 {
			n++
			managerRoute(t, n, r)
		}
	}
}

func managerRoute(t *text, n int, r Route) {
	value := r.To.String()
	gateway := r.Gateway.String()
	if !r.Gateway.IsValid() {
		gateway = "0.0.0.0"
		if !r.is4() {
			gateway = "::"
		}
	}
	value += "," + gateway
	if r.Metric != 0 {
		value += fmt.Sprintf(",%d", r.Metric)
	}
	t.line("route%d=%s", n, value)
	var options []string
	if r.OnLink {
		options = append(options, "onlink=true")
	}
	if r.Source.IsValid() {
		options = append(options, "src="+r.Source.String())
	}
	if r.Table != mainTable {
		options = append(options, fmt.Sprintf("table=%d", r.Table))
	}
	if r.MTU != 0 {
		options = append(options, fmt.Sprintf("mtu=%d", r.MTU))
	}
	if len(options) > 0 {
		t.line("route%d_options=%s", n, strings.Join(options, ","))
	}
}
