package attach

import (
	"errors"
	"net/netip"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// interfaces checks the host interface, the container interface, and the addresses and routes of the latter.
func (c *checking) interfaces(b *link.Bridge) error {
	inside, err := c.inside()
	if err != nil {
		return err
	}
	if err := c.hostInterface(b, inside); err != nil {
		return err
	}
	if inside == nil {
		return nil
	}
	if c.record != nil && c.record.Tap != nil { // the guest has addresses and routes
		return errors.Join(c.tap(inside), c.tuned())
	}
	return errors.Join(c.tap(inside), c.containerAddresses(inside), c.containerRoutes(inside), c.sourceRouting(), c.tuned())
}

// hostInterface checks that the host interface exists, has the alias of the attachment, is up, and is a bridge port with its flags.
func (c *checking) hostInterface(b *link.Bridge, inside *link.Link) error {
	if c.record == nil {
		return nil // reported by state
	}
	l, err := c.host.Link(c.record.HostLink)
	if errors.Is(err, link.ErrNotFound) {
		if l, err = liveness.New(c.host).HostInterface(c.record); err == nil {
			c.differ("host link %s was renamed to %s", c.record.HostLink, l.Name)
		}
	}
	if errors.Is(err, link.ErrNotFound) {
		c.differ("host link %s no longer exists", c.record.HostLink)
		return nil
	}
	if err != nil {
		return err
	}
	if c.record.Role == store.RolePort && l.Alias != c.record.Alias {
		c.differ("host link %s has the alias %q, not that of this attachment", l.Name, l.Alias)
	}
	if c.record.Role == store.RolePort && !l.Up {
		c.differ("host link %s is down", l.Name) // a tap is set up by the virtual machine monitor
	}
	if c.record.Role == store.RolePort && inside != nil && !onePair(l, inside) {
		c.differ("%s in the container is not the peer of %s", inside.Name, l.Name)
	}
	if want := c.interfaceOf(l.Name, ""); want != nil && c.record.Role == store.RolePort {
		c.sameMAC("host link "+l.Name, l, want)
		c.sameMTU(l, want)
	}
	if b == nil {
		return c.limits(l)
	}
	c.port(b, l)
	return errors.Join(c.segments(b, l), c.limits(l))
}

// port checks the master of the host interface, and the flags of the bridge port.
func (c *checking) port(b *link.Bridge, l *link.Link) {
	if l.Master != b.Index {
		c.reloadable = true
		c.differ("host link %s is not a port of bridge %s", l.Name, b.Name)
		return
	}
	c.guarded(b, l)
	// The record has no ports, and hairpin mode, if another attachment of the container publishes those of the configuration.
	forPorts := c.record != nil && (c.record.Publish != nil || len(c.cfg.Publish.Ports) > 0) && c.record.Hairpin
	if l.Port == nil || l.Port.Hairpin == (c.cfg.HairpinMode || forPorts) {
		return
	}
	if l.Port.Hairpin && c.record != nil && c.record.Publish != nil && !c.record.Publish.Plain {
		return // set by hand on the advice of doctor, if br_netfilter was loaded after the ADD
	}
	if l.Port.Hairpin && c.record != nil && c.record.Hairpin && c.record.Owner != store.OwnerCNI {
		return // `patchbay ports add` set it, and `ports rm` keeps it
	}
	if forPorts {
		c.differ("hairpin mode of %s is false, published ports require it", l.Name)
		return
	}
	c.differ("hairpin mode of %s is %t, hairpinMode is %t", l.Name, l.Port.Hairpin, c.cfg.HairpinMode)
}

// guarded checks that BPDU guard is on, and that the kernel has not disabled the port because the container sent a BPDU.
func (c *checking) guarded(b *link.Bridge, l *link.Link) {
	if c.record == nil || !c.record.STPGuard || l.Port == nil {
		return
	}
	if !l.Port.STPGuard {
		c.differ("BPDU guard of %s is off, stpGuard is true", l.Name)
	}
	if b.Up && l.IsBlocked() { // a bridge that is down disables every port
		c.differ("bridge port %s is disabled, as by a BPDU that the container sent (stpGuard)", l.Name)
	}
}

// inside checks the container interface. It returns nil if there is none.
func (c *checking) inside() (*link.Link, error) {
	want := c.interfaceOf(c.req.IfName, c.req.Netns)
	if c.chainedWithoutInside(want) {
		return nil, nil
	}
	l, err := c.sandbox.Link(c.req.IfName)
	if errors.Is(err, link.ErrNotFound) {
		c.differ("%s no longer exists in the container", c.req.IfName)
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
	switch prev := c.cfg.PrevResult; {
	case want != nil:
		c.sameMAC(l.Name+" in the container", l, want)
	case len(prev.Interfaces)+len(prev.IPs) == 0: // not the result of a list with this plugin
		c.differ("prevResult has no interface %s", c.req.IfName)
	}
	return l, nil
}

// chainedWithoutInside reports whether another plugin made the interface, and lists none in the container: that of a virtual
// machine, for example.
func (c *checking) chainedWithoutInside(want *types100.Interface) bool {
	return want == nil && c.record != nil && c.record.Role == store.RoleChained
}

func (c *checking) isPort() bool { return c.record == nil || c.record.Role == store.RolePort }

// sameMAC compares an interface with prevResult, which has the MAC address that the reference plugin tuning set.
func (c *checking) sameMAC(name string, l *link.Link, want *types100.Interface) {
	if want.Mac != "" && want.Mac != l.MAC.String() {
		c.differ("%s has MAC %s, prevResult has %s", name, l.MAC, want.Mac)
	}
}

// sameMTU compares the host interface with the configuration, or else with prevResult. The container interface may have any MTU:
// the reference plugin tuning sets it and leaves prevResult as it is.
func (c *checking) sameMTU(l *link.Link, want *types100.Interface) {
	mtu := want.Mtu
	if c.cfg.MTU != 0 {
		mtu = c.cfg.MTU
	}
	if mtu != 0 && mtu != l.MTU {
		c.differ("host link %s has MTU %d, not %d", l.Name, l.MTU, mtu)
	}
}

// containerAddresses checks that the container interface has the addresses of the record and of prevResult.
func (c *checking) containerAddresses(l *link.Link) error {
	has, err := c.sandbox.Addresses(l.Index)
	if err != nil {
		return err
	}
	if l.Disabled6 && hasFamily(store.Prefixes(c.ours()), false) {
		c.differ("IPv6 is disabled on %s in the container: %s is 1", l.Name, link.IPv6SwitchName(l.Name))
	}
	for _, address := range c.ours() {
		if c.listed(address.Address) && !slices.Contains(has, address.Address) {
			c.differ("%s in the container has lost address %s", l.Name, address.Address)
		}
		c.inRanges(address)
	}
	for _, address := range c.promised() {
		if !slices.Contains(has, address) {
			c.differ("%s in the container does not have address %s of prevResult", l.Name, address)
		}
	}
	return nil
}

// promised returns the addresses that prevResult has for the container interface and the record has not. Another plugin assigned
// them, or an earlier ADD whose result the runtime kept.
func (c *checking) promised() (others []netip.Prefix) {
	for _, ip := range c.cfg.PrevResult.IPs {
		prefix, ok := prefixOf(ip.Address)
		if ok && ip.Interface != nil && c.isContainers(*ip.Interface) && !slices.Contains(store.Prefixes(c.ours()), prefix) {
			others = append(others, prefix)
		}
	}
	return others
}

// inRanges compares an address and its gateway with the ranges of the configuration.
func (c *checking) inRanges(address store.Address) {
	if c.cfg.IPAM == nil || c.cfg.DelegatesIPAM() {
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
