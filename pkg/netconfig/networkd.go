package netconfig

// networkd returns the files of systemd-networkd (systemd.netdev(5), systemd.network(5)). Of the .network files that match an
// interface the first one counts, in the order of their names.
func networkd(b *Bridge) ([]File, []string) {
	const dir, mode = "/etc/systemd/network/05-patchbay-", 0o644
	routes, notes := b.usual()
	var device text
	device.line("%s\n[NetDev]\nName=%s\nKind=bridge\nMACAddress=%s", heading, b.Name, b.MAC)
	if b.MTU != ethernetMTU {
		device.line("MTUBytes=%d", b.MTU)
	}
	device.line("\n[Bridge]\nSTP=no\nForwardDelaySec=0")

	var port text
	port.line("%s\n[Match]\nName=%s\n\n[Network]\nBridge=%s", heading, b.Port, b.Name)

	var network text
	network.line("%s\n[Match]\nName=%s\n\n[Network]\nDHCP=%s\nIPv6AcceptRA=%s", heading, b.Name, dhcpOf(b), yesNo(b.AcceptRA))
	for _, server := range b.DNS {
		network.line("DNS=%s", server)
	}
	for _, domain := range b.Search {
		network.line("Domains=%s", domain)
	}
	for _, address := range b.Addresses {
		network.line("\n[Address]\nAddress=%s", address)
	}
	for _, r := range routes {
		networkdRoute(&network, r)
	}
	return []File{
		{dir + b.Name + ".netdev", mode, device.String()},
		{dir + b.Port + ".network", mode, port.String()},
		{dir + b.Name + ".network", mode, network.String()},
	}, notes
}

func dhcpOf(b *Bridge) string {
	switch {
	case b.DHCP4 && b.DHCP6:
		return "yes"
	case b.DHCP4:
		return "ipv4"
	case b.DHCP6:
		return "ipv6"
	}
	return "no"
}

func networkdRoute(t *text, r Route) {
	t.line("\n[Route]\nDestination=%s", r.To)
	if r.Gateway.IsValid() {
		t.line("Gateway=%s", r.Gateway)
	} else {
		t.line("Scope=link")
	}
	if r.OnLink {
		t.line("GatewayOnLink=yes")
	}
	if r.Source.IsValid() {
		t.line("PreferredSource=%s", r.Source)
	}
	if r.Metric != 0 {
		t.line("Metric=%d", r.Metric)
	}
	if r.Table != mainTable {
		t.line("Table=%d", r.Table)
	}
	if r.MTU != 0 {
		t.line("MTUBytes=%d", r.MTU)
	}
}
