package attach

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// addressPlan compares the addresses of the bridge with the gateways of the network and returns which to add and remove. It changes
// nothing. Errors wrap link.ErrClash.
func (p *preflight) addressPlan(has, gateways []netip.Prefix) (link.AddressPlan, error) {
	plan, err := link.PlanAddresses(has, gateways, link.AddressRules{
		Own: p.gate.Ours, Force: p.cfg.ForceAddress, Siblings: gatewaysOfPool(p.cfg),
	})
	if err != nil {
		return plan, fmt.Errorf("bridge %s: %w", p.gate.Name, err)
	}
	if p.gate.Ours {
		return plan, nil
	}
	return plan, p.checkOtherGateways(plan.Remove)
}

// checkOtherGateways returns link.ErrClash if one of the addresses to remove (forceAddress) is the gateway of containers of another
// network.
func (p *preflight) checkOtherGateways(remove []netip.Prefix) error {
	if len(remove) == 0 {
		return nil
	}
	entries, err := liveness.Records(p.cfg.StateDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Record == nil || e.Record.RoutedBy() != p.gate.Name || e.Record.Network == p.cfg.Name {
			continue
		}
		for _, gateway := range store.BridgeGateways(e.Record.Addresses) {
			if slices.Contains(remove, gateway) {
				return fmt.Errorf("bridge %s: %w: %s is the gateway of container %s on network %s", p.gate.Name, link.ErrClash, gateway, e.Record.ContainerID, e.Record.Network)
			}
		}
	}
	return nil
}

// retirement removes gateway addresses that no attachment uses any more, from a bridge that Patchbay created. It removes only
// addresses that Patchbay added.
type retirement struct {
	host    *link.Host
	bridge  *link.Bridge
	gate    *link.Bridge // what has the gateway addresses: the bridge, or its interface of a VLAN
	network string       // whose gateways are removed
	dirs    []string     // state directories
	but     store.Key    // attachment of the running verb, which does not count as user of a gateway

	current []netip.Prefix // gateways of the current configuration; empty if that cannot be read
	force   bool           // forceAddress: gateways of networks without attachments are removed too
	last    *store.Record  // attachment that is being removed, whose gateways alone are candidates; nil: all are
}

// orWarn reports an error as a warning: the next verb tries again.
func (r *retirement) orWarn(err error) {
	if err != nil {
		report.Warn("bridge %s keeps a gateway that may not be in use: %s", r.gate.Name, report.OneLine(err))
	}
}

// alone calls do with the addresses of the bridge, while a lock prevents that another process adds or removes any.
func (r *retirement) alone(ctx context.Context, do func(all []netip.Prefix) error) error {
	lock, err := store.LockDirs(ctx, false, r.dirs...)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	all, err := r.host.Addresses(r.gate.Index)
	if err != nil {
		return err
	}
	return do(all)
}

// run removes unused gateways. It looks for them without a lock first, so that verbs wait for each other only if there are any.
func (r *retirement) run(ctx context.Context) error {
	if unused, err := r.unused(); err != nil || len(unused) == 0 {
		return err
	}
	return r.alone(ctx, func([]netip.Prefix) error {
		unused, err := r.unused()
		if err != nil || len(unused) == 0 {
			return err
		}
		return r.host.RetireAddresses(r.gate, unused)
	})
}

// unused returns the addresses to remove.
func (r *retirement) unused() ([]netip.Prefix, error) {
	_, own, err := r.host.BridgeAddresses(r.gate)
	if err != nil {
		return nil, err
	}
	concerned := r.strays(own)
	if r.last != nil {
		concerned = slices.DeleteFunc(slices.Clone(own), func(p netip.Prefix) bool { return !slices.Contains(store.BridgeGateways(r.last.Addresses), p) })
	}
	if len(concerned) == 0 {
		return nil, nil
	}
	use, err := r.use()
	if err != nil {
		return nil, err
	}
	own = notOfOthers(r.gate.Name, r.network, slices.Clone(own))
	return slices.DeleteFunc(concerned, func(p netip.Prefix) bool {
		return use.unknown || len(use.of(p)) > 0 || r.last != nil && !r.replaced(p, own, use)
	}), nil
}

// strays returns the addresses that Patchbay added and that are not gateways of the current configuration; with forceAddress also those
// of networks without attachments.
func (r *retirement) strays(own []netip.Prefix) []netip.Prefix {
	strays := without(own, r.current)
	if r.force {
		return strays
	}
	return notOfOthers(r.gate.Name, r.network, strays)
}

// notOfOthers returns the addresses that are in no subnet of another network with a note on the bridge: a network keeps its gateway
// also while it has no attachments.
func notOfOthers(bridge, network string, own []netip.Prefix) []netip.Prefix {
	if len(own) == 0 {
		return nil
	}
	notes, err := store.BridgeNotes(config.DefaultStateDir, bridge, store.BridgeNote{})
	if err != nil {
		report.Warn("%v", err)
	}
	return slices.DeleteFunc(own, func(p netip.Prefix) bool {
		return slices.ContainsFunc(notes, func(n store.BridgeNote) bool {
			return n.Network != network && len(n.Prefixes) > 0 && n.Overlaps([]netip.Prefix{netip.PrefixFrom(p.Addr(), p.Addr().BitLen())})
		})
	})
}

// without returns the prefixes of all that are not in some.
func without(all, some []netip.Prefix) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(all), func(p netip.Prefix) bool { return slices.Contains(some, p) })
}

// replaced reports whether another gateway has replaced an unused one. That is so if the configuration does not contain it. But the
// configuration of a DEL may be that of the ADD (CRI-O keeps it): so it is also replaced if the bridge has another gateway
// outside of the configuration that is unused or used by a newer attachment of the network.
func (r *retirement) replaced(gateway netip.Prefix, own []netip.Prefix, use gatewayUse) bool {
	if len(r.current) > 0 && !slices.Contains(r.current, gateway) {
		return true
	}
	return slices.ContainsFunc(own, func(other netip.Prefix) bool {
		if other == gateway || other.Addr().Is4() != gateway.Addr().Is4() || slices.Contains(r.current, other) {
			return false
		}
		users := use.of(other)
		return len(users) == 0 || slices.ContainsFunc(users, func(u *store.Record) bool {
			return u.Network == r.last.Network && u.Created.After(r.last.Created)
		})
	})
}

// gatewayUse lists the attachments that may use the gateways of a bridge.
type gatewayUse struct {
	records []*store.Record // of attachments that are live or being added
	unknown bool            // there are bridge ports or records that cannot be assigned to an attachment
}

// use reads the records of the bridge. A bridge port without a record may belong to another state directory, to another plugin or to an
// administrator: which gateway it uses is unknown.
func (r *retirement) use() (u gatewayUse, err error) {
	ports, err := r.host.PortNames(r.bridge)
	if err != nil {
		return u, err
	}
	checker := liveness.New(r.host)
	for _, dir := range r.dirs {
		entries, err := store.List(dir)
		if err != nil {
			return u, err
		}
		for _, e := range entries {
			u.unknown = u.unknown || e.Record == nil
			if e.Record == nil || e.Record.Bridge != r.bridge.Name {
				continue
			}
			delete(ports, e.Record.HostLink)
			if e.Key != r.but && (!checker.IsStale(e.Record) || liveness.IsLocked(store.Dirs{State: dir, Data: e.Record.DataDir}, e.Key)) {
				u.records = append(u.records, e.Record)
			}
		}
	}
	u.unknown = u.unknown || len(ports) > 0
	return u, nil
}

// of returns the attachments that use an address of the bridge as their gateway.
func (u gatewayUse) of(p netip.Prefix) (users []*store.Record) {
	for _, r := range u.records {
		uses := slices.ContainsFunc(r.Addresses, func(a store.Address) bool { return a.Gateway == p.Addr() })
		if r.Gateway {
			uses = slices.ContainsFunc(store.BridgeGateways(r.Addresses), func(g netip.Prefix) bool { return g == p || link.HasGateway([]netip.Prefix{p}, g) })
		}
		if uses {
			users = append(users, r)
		}
	}
	return users
}

// gateways returns the gateways of the current configuration on its bridge, or none if it cannot be read.
func (r *Request) gateways() []netip.Prefix {
	cfg, _, err := r.parse()
	if err != nil {
		return nil
	}
	return gatewaysOfPool(cfg)
}

// gatewayLink returns the interface that has the gateways of the current configuration, or the bridge if that cannot be read.
func (r *Request) gatewayLink(bridge string) string {
	cfg, _, err := r.parse()
	if err != nil {
		return bridge
	}
	return cfg.GatewayLink()
}

// gatewaysOfPool returns the gateways that addresses of a network can have on its bridge.
func gatewaysOfPool(cfg *config.Config) []netip.Prefix {
	if !cfg.IsGateway || cfg.IPAM == nil {
		return nil
	}
	return store.BridgeGateways(samples(cfg))
}

// samples returns one address of each range of a network.
func samples(cfg *config.Config) (addresses []store.Address) {
	for _, r := range slices.Concat(cfg.IPAM.Pool.Sets...) {
		addresses = append(addresses, store.Address{Address: netip.PrefixFrom(r.Start, r.Subnet.Bits()), Gateway: r.Gateway})
	}
	return addresses
}
