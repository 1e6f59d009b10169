package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// DriftError is what CHECK found: how the kernel differs from what it should be.
type DriftError struct {
	Found      []string // each a sentence; at least one
	Reloadable bool     // `patchbay reload` mends some of it, and touches no container
	Commands   []string // that mend what the host's firewall drops
}

// Error is the first difference.
func (e *DriftError) Error() string { return e.Found[0] }

// checking is one CHECK on its way; it collects differences and changes nothing.
type checking struct {
	req     Request
	cfg     *config.Config
	host    *link.Host
	sandbox *link.Sandbox
	record  *store.Record
	found   []string

	reloadable bool     // patchbay reload mends some of it
	commands   []string // mend what the host's firewall drops
}

func (c *checking) differ(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

// Check compares record, prevResult and configuration with the kernel: CNI SPEC.md section 4,
// CHECK. It changes nothing. What differs is a *DriftError.
func Check(ctx context.Context, req Request) error {
	cfg, plugin, err := req.parse()
	if err != nil {
		return err
	}
	if cfg.PrevResult == nil && !cfg.Delegated() {
		return errNoPrevResult
	}
	state, err := store.OpenExisting(ctx, dirs(cfg.Ident), req.key(cfg.Name))
	if err != nil {
		return err
	}
	defer closeState(state)
	c := &checking{req: req, cfg: cfg, record: state.Record}
	err = errors.Join(
		req.step("state", func() error { return c.state(state) }),
		req.step("ask", func() error { return c.checkForeign(ctx, plugin) }),
	)
	if err != nil {
		return err
	}
	if !cfg.Delegated() {
		err = req.step("kernel", c.kernel)
	}
	if err != nil || len(c.found) == 0 {
		return err
	}
	return &DriftError{Found: c.found, Reloadable: c.reloadable, Commands: c.commands}
}

// state looks at what is on disk.
func (c *checking) state(state *store.Attachment) error {
	switch {
	case state.Broken != nil && state.Record != nil:
		c.differ("the record was %v; only what this one knows of it was checked", state.Broken)
	case state.Broken != nil:
		c.differ("the record cannot be read: %v", state.Broken)
	}
	if state.Record == nil && state.Broken == nil {
		c.differ("there is no record of container %s with %s on network %s", c.req.ContainerID, c.req.IfName, c.cfg.Name)
	}
	c.reservations()
	lost, err := state.Holds()
	if err != nil {
		return err
	}
	if lost != "" {
		c.differ("%s", lost)
	}
	return nil
}

// reservations compares where the addresses are with where the configuration looks for them
// now: it would give them to somebody else.
func (c *checking) reservations() {
	if c.record == nil {
		return
	}
	was, is := c.record.DataDir, c.cfg.DataDir
	switch {
	case c.record.IPAMType != "" || c.cfg.Foreign():
		c.sameForeign()
	case was != "" && c.cfg.IPAM == nil:
		c.differ("the attachment has addresses, the configuration has no ipam any more")
	case was == "" && c.cfg.IPAM != nil:
		c.differ("the attachment has no addresses, the configuration has an ipam now")
	case was != "" && was != is:
		c.differ("the addresses are reserved in %s, the configuration's are in %s", was, is)
	}
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
	if c.record != nil && c.record.NetnsCookie != c.sandbox.Cookie() {
		c.differ("%s is another namespace than the one that was attached", c.req.Netns)
	}
	bridge, err := c.bridge()
	if err != nil {
		return err
	}
	return errors.Join(c.cable(bridge), c.forwarding(), c.ruleset(), c.firewall())
}

// bridge looks at the bridge and its gateway addresses; nil if there is none.
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
	// The MAC of a bridge that is not ours may change under us; that is its owner's business.
	if want := c.interfaceOf(b.Name, ""); b.Ours && want != nil && want.Mac != "" && want.Mac != b.MAC.String() {
		c.differ("bridge %s has MAC %s, it had %s", b.Name, b.MAC, want.Mac)
	}
	c.hostRoutes(b)
	return b, c.gateways(b)
}

// hostRoutes looks for those of addresses that are in no subnet of the bridge.
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

func (c *checking) gateways(b *link.Bridge) error {
	if !c.cfg.IsGateway {
		return nil
	}
	has, err := c.host.Addresses(b.Index)
	if err != nil {
		return err
	}
	for _, gateway := range gatewaysOf(c.ours()) {
		if !slices.Contains(has, gateway) {
			c.differ("bridge %s has lost the gateway address %s", b.Name, gateway)
		}
	}
	return nil
}

func (c *checking) forwarding() error {
	if !c.cfg.IsGateway {
		return nil
	}
	for _, gateway := range gatewaysOf(c.ours()) {
		if !c.host.Forwarding(gateway.Addr().Is4()) {
			c.reloadable = c.reloadable || c.record != nil && c.record.Gateway // what reload goes by
			c.differ("the host does not forward %s any more", family(gateway.Addr()))
		}
	}
	return nil
}

func family(addr netip.Addr) string {
	if addr.Is4() {
		return "IPv4 (net.ipv4.ip_forward)"
	}
	return "IPv6 (net.ipv6.conf.all.forwarding)"
}

// ours are the addresses that this plugin gave, not another one of the chain.
func (c *checking) ours() []store.Address {
	if c.cfg.IPAM == nil {
		return nil
	}
	return c.addresses()
}

// addresses are those that prevResult gives to this interface.
func (c *checking) addresses() []store.Address {
	var out []store.Address
	for _, ip := range c.cfg.PrevResult.IPs {
		if ip.Interface != nil && !c.isContainers(*ip.Interface) {
			continue
		}
		addr, ok := netip.AddrFromSlice(ip.Address.IP)
		bits, _ := ip.Address.Mask.Size()
		if !ok {
			continue
		}
		gateway, _ := netip.AddrFromSlice(ip.Gateway)
		out = append(out, store.Address{Address: netip.PrefixFrom(addr.Unmap(), bits), Gateway: gateway.Unmap()})
	}
	return out
}

func (c *checking) isContainers(index int) bool {
	all := c.cfg.PrevResult.Interfaces
	return index >= 0 && index < len(all) && all[index].Sandbox != "" && all[index].Name == c.req.IfName
}

// interfaceOf finds an interface of prevResult; sandbox "" is the host's.
func (c *checking) interfaceOf(name, sandbox string) *types100.Interface {
	for _, iface := range c.cfg.PrevResult.Interfaces {
		if iface.Name == name && (iface.Sandbox == "") == (sandbox == "") {
			return iface
		}
	}
	return nil
}

// details are the other differences and the remedy, for the details of the CNI error.
func (e *DriftError) details() string {
	fix := "the attachment is not as ADD left it: DEL and ADD it again"
	if e.Reloadable {
		fix = "the attachment is not as ADD left it: run patchbay reload on this host, or DEL and ADD it again"
	}
	if len(e.Commands) > 0 {
		fix = "the host's firewall drops what the network needs: " + strings.Join(e.Commands, "; ")
	}
	if len(e.Found) == 1 {
		return fix
	}
	return "also: " + strings.Join(e.Found[1:], "; ") + "; " + fix
}
