package attach

import (
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// complete adds to the record what follows from the addresses: routes, masquerading and published ports.
func (a *adding) complete() error {
	overrideGateways(a.record.Addresses, a.cfg.IPAM.Gateways)
	a.routes = routesOf(a.cfg, a.record.Addresses)
	a.record.Planned = make([]store.Route, 0, len(a.routes)) // not nil: an empty list means no routes, nil a record of an older version
	for _, r := range a.routes {
		a.record.Planned = append(a.record.Planned, recorded(r))
	}
	a.record.HostRoutes = nil
	for _, address := range a.record.Addresses {
		if a.cfg.IsGateway && address.Address.IsSingleIP() {
			a.record.HostRoutes = append(a.record.HostRoutes, address.Address.Addr())
		}
	}
	a.planMasquerade()
	a.planEgress()
	return a.planPorts()
}

// planMasquerade puts into the record for which addresses publish adds masquerading.
func (a *adding) planMasquerade() {
	masq := a.cfg.Masq
	if masq == nil {
		return
	}
	m := &store.Masquerade{Exclude: masq.Exclude, RandomFully: masq.RandomFully, Outbound4: masq.Outbound4, Outbound6: masq.Outbound6}
	for _, address := range a.record.Addresses {
		if is4 := address.Address.Addr().Is4(); is4 && masq.IPv4 || !is4 && masq.IPv6 {
			m.Addresses = append(m.Addresses, address.Address)
		}
	}
	if len(m.Addresses) > 0 {
		a.record.Masquerade = m
	}
	a.warnOutbound()
}

// planPorts puts the published ports and their container addresses into the record.
func (a *adding) planPorts() error {
	publish, err := PublishOf(&a.req, a.cfg.Publish, a.record.Addresses, a.cfg.GatewayLink())
	if publish != nil {
		a.record.Publish = publish
	}
	return err
}

// PublishOf returns the published ports of a record with addresses on a bridge, nil if there are none. It warns of mappings that no
// address of the container serves.
func PublishOf(req *Request, p config.Publish, addresses []store.Address, bridge string) (*store.Publish, error) {
	ports, unserved := PortsOf(p.Ports, addresses)
	for _, m := range unserved {
		req.Warn("port %s is not published: the container has no address of that family", m)
	}
	if len(ports) == 0 {
		return nil, nil
	}
	publish := &store.Publish{Ports: ports, Plain: !p.SNAT, All: p.MasqAll, MarkBit: p.MarkBit}
	if !p.SNAT || !p.Localhost || bridge == "" || !opensLocalhost(ports) {
		return publish, nil
	}
	var err error
	publish.Localhost, err = mayOpenLocalhost(req, bridge, ports)
	return publish, err
}

// mayOpenLocalhost reports whether the ports can be published on 127.0.0.1, for which route_localnet must be 1. If it cannot be set,
// for example on a read-only /proc/sys, the ports are published on the other addresses of the host, with a warning. A mapping for
// 127.0.0.1 alone has no other address: that is an error.
func mayOpenLocalhost(req *Request, bridge string, ports []store.Port) (bool, error) {
	err := link.MayRouteLocalnet(bridge)
	if err == nil || slices.ContainsFunc(ports, func(p store.Port) bool { return p.HostIP.Is4() && p.HostIP.IsLoopback() }) {
		return err == nil, err
	}
	req.Warn("published ports are not reachable on 127.0.0.1: %v", err)
	return false, nil
}

// opensLocalhost reports whether one of the ports is published on 127.0.0.1.
func opensLocalhost(ports []store.Port) bool {
	return slices.ContainsFunc(ports, func(p store.Port) bool {
		return p.Container.Is4() && (!p.HostIP.IsValid() || p.HostIP.IsLoopback())
	})
}

// planEgress puts into the record to which destinations the container may open connections. Name servers that no packet from a
// container reaches, as 127.0.0.53 of the host's resolver, are left out.
func (a *adding) planEgress() {
	if a.cfg.Egress == nil {
		return
	}
	e := &store.Egress{Allow: a.cfg.Egress.Allow, DHCP: a.cfg.IPAMType == "dhcp"}
	for _, text := range a.cfg.DNS.Nameservers {
		addr, err := netip.ParseAddr(text)
		if addr = addr.Unmap(); err != nil || addr.Zone() != "" || !isUnicast(addr) || addr.IsLoopback() || slices.Contains(e.DNS, addr) {
			continue
		}
		e.DNS = append(e.DNS, addr)
	}
	a.record.Egress = e
}

// warnOutbound warns of outbound addresses without effect: the host does not have them, or the container has no address of the family.
func (a *adding) warnOutbound() {
	for _, addr := range []netip.Addr{a.cfg.Masq.Outbound4, a.cfg.Masq.Outbound6} {
		is := func(has store.Address) bool { return has.Address.Addr().Is4() == addr.Is4() }
		if addr.IsValid() && !slices.ContainsFunc(a.record.Addresses, is) {
			a.req.Warn("%s %s has no effect: the container has no address of that family", outboundKey(addr), addr)
			continue
		}
		for _, says := range MissingOutbound(a.host, addr) {
			a.req.Warn("%s", says)
		}
	}
}
