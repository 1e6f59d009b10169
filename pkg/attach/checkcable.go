package attach

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// cable looks at both ends and at what the container's end has.
func (c *checking) cable(b *link.Bridge) error {
	inside, err := c.inside()
	if err != nil {
		return err
	}
	if err := c.hostEnd(b, inside); err != nil {
		return err
	}
	if inside == nil {
		return nil
	}
	return errors.Join(c.containerAddresses(inside), c.containerRoutes(inside))
}

// hostEnd looks at the end in the bridge: there, ours, up, a port, with its flags.
func (c *checking) hostEnd(b *link.Bridge, inside *link.Link) error {
	if c.record == nil {
		return nil // said already
	}
	l, err := c.host.Link(c.record.HostLink)
	if errors.Is(err, link.ErrNotFound) {
		c.differ("host link %s does not exist any more", c.record.HostLink)
		return nil
	}
	if err != nil {
		return err
	}
	if c.record.Role == store.RolePort && l.Alias != c.record.Alias {
		c.differ("host link %s carries the alias %q, not this attachment's", l.Name, l.Alias)
	}
	if c.record.Role == store.RolePort && !l.Up {
		c.differ("host link %s is down", l.Name) // a tap is set up by who runs the guest
	}
	if c.record.Role == store.RolePort && inside != nil && !onePair(l, inside) {
		c.differ("%s in the container is not the other end of %s", inside.Name, l.Name)
	}
	if want := c.interfaceOf(l.Name, ""); want != nil && c.record.Role == store.RolePort {
		c.compare("host link "+l.Name, l, want)
	}
	if b != nil {
		c.port(b, l)
	}
	return nil
}

// onePair looks from both ends: an index is only unique in its own namespace.
func onePair(a, b *link.Link) bool { return a.Peer == b.Index && b.Peer == a.Index }

func (c *checking) port(b *link.Bridge, l *link.Link) {
	if l.Master != b.Index {
		c.reloadable = true
		c.differ("host link %s is not plugged into bridge %s", l.Name, b.Name)
		return
	}
	forPorts := c.record != nil && c.record.Publish != nil && c.record.Hairpin
	if l.Port == nil || l.Port.Hairpin == (c.cfg.HairpinMode || forPorts) {
		return
	}
	if l.Port.Hairpin && c.record != nil && c.record.Publish != nil && !c.record.Publish.Plain {
		return // as doctor asks for where br_netfilter was switched on after the ADD
	}
	if forPorts {
		c.differ("hairpin mode of %s is false, the published ports need it", l.Name)
		return
	}
	c.differ("hairpin mode of %s is %t, hairpinMode is %t", l.Name, l.Port.Hairpin, c.cfg.HairpinMode)
}

// inside looks at the container's end; nil if it is not there.
func (c *checking) inside() (*link.Link, error) {
	want := c.interfaceOf(c.req.IfName, c.req.Netns)
	if c.chainedWithoutInside(want) {
		return nil, nil
	}
	l, err := c.sandbox.Link(c.req.IfName)
	if errors.Is(err, link.ErrNotFound) {
		c.differ("%s does not exist in the container any more", c.req.IfName)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if c.isPort() && l.Kind != "veth" {
		c.differ("%s in the container is of type %s, not a veth", l.Name, l.Kind)
	}
	if !l.Up && !c.cfg.DisableContainerInterface {
		c.differ("%s in the container is down", l.Name)
	}
	if want == nil {
		c.differ("prevResult does not hold %s", c.req.IfName)
		return l, nil
	}
	c.compare(l.Name+" in the container", l, want)
	return l, nil
}

func (c *checking) chainedWithoutInside(want *types100.Interface) bool {
	return want == nil && c.record != nil && c.record.Role == store.RoleChained
}

func (c *checking) isPort() bool { return c.record == nil || c.record.Role == store.RolePort }

// compare compares one end of the cable with prevResult, and its MTU with the configuration.
func (c *checking) compare(name string, l *link.Link, want *types100.Interface) {
	if want.Mac != "" && want.Mac != l.MAC.String() {
		c.differ("%s has MAC %s, it had %s", name, l.MAC, want.Mac)
	}
	mtu := want.Mtu
	if c.cfg.MTU != 0 && c.isPort() {
		mtu = c.cfg.MTU
	}
	if mtu != 0 && mtu != l.MTU {
		c.differ("%s has MTU %d, not %d", name, l.MTU, mtu)
	}
}

func (c *checking) containerAddresses(l *link.Link) error {
	has, err := c.sandbox.Addresses(l.Index)
	if err != nil {
		return err
	}
	for _, address := range c.addresses() {
		if !slices.Contains(has, address.Address) {
			c.differ("%s in the container has lost address %s", l.Name, address.Address)
		}
		c.configured(address)
	}
	return nil
}

// configured compares an address with the ranges as they are now.
func (c *checking) configured(address store.Address) {
	if c.cfg.IPAM == nil || c.cfg.Foreign() {
		return
	}
	set := c.cfg.IPAM.Pool.SetOf(address.Address.Addr())
	if set < 0 {
		c.differ("address %s is outside the ranges of the configuration", address.Address)
		return
	}
	now := []store.Address{{Address: address.Address, Gateway: c.cfg.IPAM.Pool.Sets[set].RangeOf(address.Address.Addr()).Gateway}}
	overrideGateways(now, c.cfg.IPAM.Gateways)
	if address.Gateway.IsValid() && now[0].Gateway != address.Gateway {
		c.differ("the gateway of %s is %s, the configuration has %s", address.Address, address.Gateway, now[0].Gateway)
	}
}

// containerRoutes wants every route of prevResult, and those the configuration adds, with
// their gateways. Others may be there too: a later plugin of the chain may have added them.
func (c *checking) containerRoutes(l *link.Link) error {
	has, err := c.sandbox.Routes(l.Index)
	if err != nil {
		return err
	}
	old := c.oldPrevResult()
	for _, want := range c.wantedRoutes() {
		same := func(r link.Route) bool {
			asked := want
			if old && asked.Priority == 0 {
				asked.Priority = r.Priority // ADD may have given it one
			}
			return isRoute(r, asked)
		}
		if !slices.ContainsFunc(has, same) {
			c.differ("%s in the container has lost the route %s", l.Name, want)
		}
	}
	return nil
}

func (c *checking) wantedRoutes() []link.Route {
	if c.cfg.IPAM == nil {
		return nil
	}
	addresses := c.ours()
	wanted := routesOf(c.cfg, addresses)
	for i := range wanted {
		c.asApplied(&wanted[i])
	}
	for _, p := range c.cfg.PrevResult.Routes {
		r := routeOfResult(p)
		told := r // scope link, which has no gateway, may be lost
		if !r.GW.IsValid() && !onLink(p.Scope) {
			r.GW = firstGateway(addresses, r.Dst.Addr().Is4())
		}
		if !slices.ContainsFunc(wanted, func(w link.Route) bool { return tells(r, w) || tells(told, w) }) {
			wanted = append(wanted, r)
		}
	}
	return wanted
}

// tells reports whether a route of prevResult is that route: the same, or what a library of the
// caller before CNI 1.1 (libcni 1.2) leaves of it.
func tells(prev, r link.Route) bool {
	left := func(now, was int) bool { return now == was || now == 0 }
	return prev.Dst == r.Dst && prev.GW == r.GW && left(prev.MTU, r.MTU) && left(prev.AdvMSS, r.AdvMSS) &&
		left(prev.Priority, r.Priority) && left(prev.Table, r.Table) && left(prev.Scope, r.Scope)
}

// oldPrevResult reports whether the caller's library does not know the fields of CNI 1.1 and has
// dropped them: our results always tell the mtu of interfaces.
func (c *checking) oldPrevResult() bool {
	return !slices.ContainsFunc(c.cfg.PrevResult.Interfaces, func(i *types100.Interface) bool { return i.Mtu != 0 })
}

// asApplied gives a route of the configuration the metric that ADD had to give it.
func (c *checking) asApplied(r *link.Route) {
	for _, p := range c.cfg.PrevResult.Routes {
		if applied := routeOfResult(p); applied.Dst == r.Dst && r.Priority == 0 {
			r.Priority = applied.Priority
		}
	}
}

// isRoute compares what was asked for; what was not is the kernel's choice.
func isRoute(has, want link.Route) bool {
	same := has.Dst == want.Dst && has.GW == want.GW && has.MTU == want.MTU && has.AdvMSS == want.AdvMSS
	const mainTable, ipv6Metric = 254, 1024
	table, metric := want.Table, want.Priority
	if table == 0 {
		table = mainTable
	}
	if metric == 0 && !want.Dst.Addr().Is4() {
		metric = ipv6Metric
	}
	return same && has.Table == table && has.Priority == metric
}

func routeOfResult(p *types.Route) link.Route {
	dst, _ := netip.AddrFromSlice(p.Dst.IP)
	bits, size := p.Dst.Mask.Size()
	if size == 32 {
		dst = dst.Unmap()
	}
	r := link.Route{Dst: netip.PrefixFrom(dst, bits), MTU: p.MTU, AdvMSS: p.AdvMSS, Priority: p.Priority}
	if gw, ok := netip.AddrFromSlice(p.GW); ok {
		r.GW = gw.Unmap()
	}
	if p.Table != nil {
		r.Table = *p.Table
	}
	if p.Scope != nil {
		r.Scope = *p.Scope
	}
	return r
}
