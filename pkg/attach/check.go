package attach

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/delegate"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Check compares record, prevResult and configuration with the kernel: CNI SPEC.md section 4, CHECK. It changes nothing, and
// returns differences as a *DriftError.
//
// It does not examine the packet filters of other programs: another plugin of the list may drop packets on purpose (the reference
// plugin firewall with ingressPolicy), and the filters concern all attachments of the bridge. Doctor reports them.
func Check(ctx context.Context, req Request) error {
	ctx = Within(ctx)
	cfg, plugin, err := req.parse()
	if err != nil {
		return err
	}
	if cfg.PrevResult == nil && !cfg.CalledAsIPAM() {
		return ErrNoPrevResult
	}
	state, err := store.OpenExisting(ctx, dirs(cfg.Ident), req.Key(cfg.Name))
	if err != nil {
		return err
	}
	defer closeState(state)
	c := &checking{req: req, cfg: cfg, record: state.Record}
	err = errors.Join(
		req.Step("state", func() error { return c.state(state) }),
		req.Step("ask", func() error { return c.checkForeign(ctx, plugin) }),
	)
	if err != nil {
		return err
	}
	if !cfg.CalledAsIPAM() {
		err = req.Step("kernel", c.kernel)
	}
	if err != nil || len(c.found) == 0 {
		return err
	}
	return &DriftError{Found: c.found, Reloadable: c.reloadable, Settings: c.settings, Unrecorded: state.Record == nil && state.Broken == nil}
}

// state compares the record and the address files with the configuration.
func (c *checking) state(state *store.Attachment) error {
	switch {
	case state.Broken != nil && state.Record != nil:
		c.differ("the record was %v; only the fields that this version knows were checked", state.Broken)
	case state.Broken != nil:
		c.differ("the record cannot be read: %v", state.Broken)
	}
	if state.Record == nil && state.Broken == nil {
		c.differ("there is no record of container %s with %s on network %s", c.req.ContainerID, c.req.IfName, c.cfg.Name)
	}
	c.reservations()
	lost, err := state.CheckAddresses()
	if err != nil {
		return err
	}
	if lost != "" {
		c.differ("%s", lost)
	}
	return nil
}

// reservations compares the directory in which the addresses are reserved with the one of the configuration. If they differ, the
// network could assign the same addresses to another container.
func (c *checking) reservations() {
	if c.record == nil {
		return
	}
	was, is := c.record.DataDir, dirs(c.cfg.Ident)
	switch {
	case c.record.IPAMType != "" || c.cfg.DelegatesIPAM():
		c.sameForeign()
	case was != "" && c.cfg.IPAM == nil:
		c.differ("the attachment has addresses, the configuration no longer has ipam")
	case was == "" && c.cfg.IPAM != nil:
		c.differ("the attachment has no addresses, the configuration now has ipam")
	case was != "" && !is.Has(was):
		c.differ("the addresses are reserved in %s, the configuration reserves in %s", was, is.Data)
	}
}

// sameForeign compares the recorded IPAM plugin with the configured one.
func (c *checking) sameForeign() {
	is := ""
	if c.cfg.DelegatesIPAM() {
		is = c.cfg.IPAMType
	}
	switch {
	case c.record.IPAMType != is:
		c.differ("IPAM plugin %q assigned the addresses, the configuration now has %q", c.record.IPAMType, c.cfg.IPAMType)
	case c.record.IPAM != store.IPAMDone:
		c.differ("IPAM plugin %s did not assign addresses when the attachment was made", is)
	}
}

// checkForeign calls CHECK of the delegated IPAM plugin. The empty IPAM stands for it afterwards: the addresses of prevResult are
// then those that the plugin assigned.
func (c *checking) checkForeign(ctx context.Context, plugin *delegate.Plugin) error {
	if c.cfg.Static != nil {
		c.cfg.IPAM = &config.IPAM{}
		return checkStatic(c.cfg.Static)
	}
	if plugin == nil {
		return nil
	}
	c.cfg.IPAM = &config.IPAM{}
	if c.record != nil && c.record.IPAMType != plugin.Name {
		return nil // reported by sameForeign; this plugin did not assign the addresses
	}
	_, err := within(ctx, plugin).Call(ctx, "CHECK", c.req.Config)
	return err
}

func (c *checking) kernel() (err error) {
	if c.host, err = link.OpenHost(); err != nil {
		return err
	}
	defer c.host.Close()
	if c.sandbox, err = link.OpenSandbox(c.req.Netns, c.req.HostNetnsAllowed); err != nil {
		return err
	}
	defer c.sandbox.Close()
	if c.record != nil && !c.record.IsNamespace(c.sandbox.Cookie(), c.sandbox.Inode()) {
		c.differ("%s is not the network namespace that was attached", c.req.Netns)
	}
	bridge, err := c.bridge()
	if err != nil {
		return err
	}
	gate, err := c.gate(bridge)
	if err != nil {
		return err
	}
	return errors.Join(c.gateways(gate), c.interfaces(bridge), c.forwarding(gate), c.ruleset())
}

// bridge checks the bridge. It returns nil if there is no such bridge.
func (c *checking) bridge() (*link.Bridge, error) {
	b, err := c.host.Bridge(c.cfg.Bridge)
	if errors.Is(err, link.ErrNotFound) || errors.Is(err, link.ErrNotBridge) {
		c.differ("%v", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !b.Up {
		c.differ("bridge %s is down", b.Name)
	}
	if c.cfg.PromiscMode && !b.Promisc {
		c.differ("bridge %s is not promiscuous", b.Name)
	}
	// The kernel changes the MAC address of a bridge without a fixed one when ports come and go: that of an adopted bridge is
	// its owner's choice.
	if want := c.interfaceOf(b.Name, ""); b.Ours && want != nil && want.Mac != "" && want.Mac != b.MAC.String() {
		c.differ("bridge %s has MAC %s, prevResult has %s", b.Name, b.MAC, want.Mac)
	}
	return b, nil
}

// gateways checks the addresses and host routes of the interface that has the gateway addresses; nil if it does not exist.
func (c *checking) gateways(gate *link.Bridge) error {
	if gate == nil {
		return nil
	}
	c.hostRoutes(gate)
	return c.bridgeAddresses(gate)
}

// hostRoutes checks the host routes of addresses that are in no subnet of the bridge.
func (c *checking) hostRoutes(b *link.Bridge) {
	if c.record == nil {
		return
	}
	for _, addr := range c.record.HostRoutes {
		if !c.host.HasHostRoute(b, addr) {
			c.differ("the host has lost the route of %s to bridge %s", addr, b.Name)
		}
	}
}

// bridgeAddresses checks that the bridge has the gateway addresses, and no address of the container.
func (c *checking) bridgeAddresses(b *link.Bridge) error {
	if !c.cfg.IsGateway && c.cfg.IPAMType == "" {
		return nil
	}
	has, err := c.host.Addresses(b.Index)
	if err != nil {
		return err
	}
	for _, address := range c.ours() {
		if slices.ContainsFunc(has, func(p netip.Prefix) bool { return p.Addr() == address.Address.Addr() }) {
			c.differ("%s is an address of the container and of bridge %s", address.Address.Addr(), b.Name)
		}
	}
	if !c.cfg.IsGateway {
		return nil
	}
	for _, gateway := range store.BridgeGateways(c.ours()) {
		if !link.HasGateway(has, gateway) {
			c.differ("bridge %s has lost the gateway address %s", b.Name, gateway)
		}
	}
	return nil
}

// forwarding checks that the host forwards the families of the gateway, and that no setting of an interface limits it.
func (c *checking) forwarding(b *link.Bridge) error {
	if !c.cfg.IsGateway {
		return nil
	}
	for _, gateway := range store.BridgeGateways(c.ours()) {
		if !c.host.Forwarding(gateway.Addr().Is4()) {
			c.reloadable = c.reloadable || c.record != nil && c.record.Gateway // reload enables it for records with a gateway
			c.differ("the host no longer forwards %s", family(gateway.Addr()))
		}
	}
	if b == nil || c.record == nil {
		return nil
	}
	leaves := c.cfg.IsDefaultGateway || c.cfg.Masq != nil || c.record.Publish != nil
	for _, l := range Limits(c.host, b, []*store.Record{c.record}, leaves) {
		c.reloadable = c.reloadable || l.Ours
		if !l.Ours {
			c.settings = append(c.settings, l.Command())
		}
		c.differ("%v", l)
	}
	return nil
}

func family(addr netip.Addr) string {
	if addr.Is4() {
		return "IPv4 (net.ipv4.ip_forward)"
	}
	return "IPv6 (net.ipv6.conf.all.forwarding)"
}
