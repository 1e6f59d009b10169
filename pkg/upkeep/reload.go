package upkeep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Reload restores the host from the records of live attachments. It creates missing bridges, makes host interfaces without a master
// bridge ports again, restores bandwidth limits, enables forwarding, rebuilds the tables of nftables and the rules for docker. It changes no container, and no host interface that is
// a port of another bridge. It returns one sentence for each change, continues after errors and joins them.
func Reload(ctx context.Context, stateDir string) (done []string, err error) {
	ctx = attach.Within(ctx)
	host, live, err := liveOn(ctx, stateDir)
	if err != nil {
		return nil, err
	}
	defer host.Close()
	done, err = relink(host, stateDir, live)
	did, failed := rebuild(ctx, host, stateDir, live)
	done, err = append(done, did...), errors.Join(err, failed)
	did, failed = ruleset.Readmit(ctx, stateDir, live)
	done, err = append(done, did...), errors.Join(err, failed)
	for _, r := range live {
		ruleset.EndStaleFlows(ctx, r) // those that began while no rule published the ports
	}
	return done, err
}

// rebuild rebuilds the tables of nftables, and then lets 127.0.0.1 reach published ports: one of the rules protects 127.0.0.0/8.
func rebuild(ctx context.Context, host *link.Host, stateDir string, live []*store.Record) (done []string, err error) {
	done, err = ruleset.Rebuild(ctx, host, stateDir, live)
	if err != nil {
		return done, err
	}
	did, err := ruleset.RestoreLocalhost(host, live)
	return append(done, did...), err
}

// ReloadLinks restores what Reload does of bridges, bridge ports, limits, forwarding and route_localnet. It changes nothing where
// nothing is missing, and rebuilds the tables of nftables only before it sets route_localnet, as on a bridge that was deleted.
func ReloadLinks(ctx context.Context, stateDir string) (done []string, err error) {
	ctx = attach.Within(ctx)
	host, live, err := liveOn(ctx, stateDir)
	if err != nil {
		return nil, err
	}
	defer host.Close()
	done, err = relink(host, stateDir, live)
	if !ruleset.LacksLocalhost(live) {
		return done, err
	}
	did, failed := rebuild(ctx, host, stateDir, live)
	return append(done, did...), errors.Join(err, failed)
}

// liveOn opens the host, which the caller closes, and returns the records of its live attachments.
func liveOn(ctx context.Context, stateDir string) (*link.Host, []*store.Record, error) {
	host, err := attach.OpenHost(ctx)
	if err != nil {
		return nil, nil, err
	}
	all, err := liveness.Records(stateDir)
	if err != nil {
		host.Close()
		return nil, nil, err
	}
	return host, liveness.Live(host, all), nil
}

// relink restores interfaces and the settings of the kernel for them.
func relink(host *link.Host, stateDir string, live []*store.Record) (done []string, err error) {
	macs := liveness.BridgeMACs(live)
	for _, r := range live {
		did, failed := replug(host, r, macs[r.Bridge])
		if failed != nil && !isGone(host, r) {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.Key(), failed))
		}
		done = append(done, did...)
	}
	did, failed := relimit(host, stateDir, live)
	done, err = append(done, did...), errors.Join(err, failed)
	did, failed = reforward(host, live)
	return append(done, did...), errors.Join(err, failed)
}

// isGone reports whether the host interface of an attachment does not exist any more: a DEL, or the end of a network namespace, has deleted it
// while reload worked on it. Then an error about it is none.
func isGone(host *link.Host, r *store.Record) bool {
	_, err := host.Link(r.HostLink)
	return errors.Is(err, link.ErrNotFound)
}

// reforward enables forwarding for each family in which a live attachment has its gateway on the host, and on its bridge.
func reforward(host *link.Host, live []*store.Record) (done []string, err error) {
	for _, is4 := range []bool{true, false} {
		routed := slices.DeleteFunc(slices.Clone(live), func(r *store.Record) bool { return !r.Gateway || !store.FirstGateway(r.Addresses, is4).IsValid() })
		if len(routed) == 0 {
			continue
		}
		if !host.Forwarding(is4) {
			if failed := host.EnableForwarding(is4); failed != nil {
				err = errors.Join(err, failed)
				continue
			}
			done = append(done, "the host forwards "+map[bool]string{true: "IPv4", false: "IPv6"}[is4]+" again")
		}
		did, failed := reforwardFrom(host, routed, is4)
		done, err = append(done, did...), errors.Join(err, failed)
	}
	return done, err
}

// reforwardFrom enables forwarding on the bridges that Patchbay made; see attach.Limit for why that is a setting of its own.
func reforwardFrom(host *link.Host, routed []*store.Record, is4 bool) (done []string, err error) {
	seen := map[string]bool{}
	for _, r := range routed {
		bridge, failed := host.Bridge(r.Bridge)
		if failed == nil {
			bridge, failed = host.Gate(bridge, r.RoutedBy())
		}
		if seen[r.RoutedBy()] || failed != nil || !bridge.Ours {
			continue
		}
		seen[r.RoutedBy()] = true
		was := bridge.Forwards4
		if failed := host.ForwardFrom(bridge, is4); failed != nil {
			err = errors.Join(err, failed)
		} else if is4 && !was {
			done = append(done, fmt.Sprintf("the host forwards IPv4 from bridge %s again", bridge.Name))
		}
	}
	return done, err
}

// replug makes the host interface a port of its recorded bridge, unless it has a master. mac is that of the bridge, nil for any.
func replug(host *link.Host, r *store.Record, mac net.HardwareAddr) ([]string, error) {
	if r.Role == store.RolePart {
		return nil, nil // the interface is that of another main plugin
	}
	l, err := host.Link(r.HostLink)
	if err != nil || r.Role == store.RoleChained && r.HostIndex != l.Index {
		return nil, report.Except(err, link.ErrNotFound)
	}
	if r.Role == store.RoleChained && !l.PeerIn(r.Netns) && l.Kind != "tun" {
		return nil, nil // a wrong record could name the uplink
	}
	if elsewhere, err := isElsewhere(host, l, r.Bridge); err != nil || elsewhere {
		return nil, err
	}
	bridge, gate, done, err := rebridge(host, r, link.BridgeSpec{Name: r.Bridge, MTU: l.MTU, MAC: mac, VLANs: r.VLANs != nil})
	if err != nil {
		return done, err
	}
	if l.Master != 0 {
		did, err := reflag(host, l, bridge, r)
		return append(done, did...), err
	}
	if err := host.SetMaster(l, bridge, attach.PortFlags(r)); err != nil {
		return done, err
	}
	for _, addr := range r.HostRoutes {
		if err := host.AddHostRoute(gate, addr); err != nil {
			return done, err
		}
	}
	return append(done, fmt.Sprintf("%s is a port of bridge %s again, for %s", l.Name, bridge.Name, r.Key())), nil
}

// rebridge returns the bridge of a record, and creates it if it is missing. It restores the MAC address and the gateway
// addresses, because the neighbour tables and routes of running containers refer to them. The gate is what has these addresses.
func rebridge(host *link.Host, r *store.Record, spec link.BridgeSpec) (bridge, gate *link.Bridge, done []string, err error) {
	bridge, err = host.Bridge(r.Bridge)
	if errors.Is(err, link.ErrNotFound) {
		bridge, err = host.EnsureBridge(spec)
		done = append(done, fmt.Sprintf("bridge %s made again", r.Bridge))
	}
	if err == nil && bridge.Ours && spec.MAC != nil && !bytes.Equal(bridge.MAC, spec.MAC) {
		err = host.RestoreMAC(bridge, spec.MAC)
		done = append(done, fmt.Sprintf("bridge %s has MAC %s again", r.Bridge, spec.MAC))
	}
	var did []string
	if err == nil {
		did, err = refilter(host, bridge, r)
		done = append(done, did...)
	}
	if err != nil || !r.Gateway {
		return bridge, bridge, done, err
	}
	if gate, did, err = regateVLAN(host, bridge, r); err != nil {
		return bridge, bridge, done, err
	}
	done = append(done, did...)
	did, err = regate(host, gate, store.BridgeGateways(r.Addresses))
	return bridge, gate, append(done, did...), err
}

// regate adds the gateway addresses that a bridge lacks.
func regate(host *link.Host, bridge *link.Bridge, gateways []netip.Prefix) ([]string, error) {
	has, err := host.Addresses(bridge.Index)
	if err != nil {
		return nil, err
	}
	lost := slices.DeleteFunc(slices.Clone(gateways), func(p netip.Prefix) bool { return link.HasGateway(has, p) })
	if len(lost) == 0 {
		return nil, nil
	}
	plan, err := link.PlanAddresses(has, gateways, link.AddressRules{Own: bridge.Ours})
	if err == nil && slices.ContainsFunc(lost, func(p netip.Prefix) bool { return p.Addr().Is6() }) {
		err = host.EnableIPv6(bridge)
	}
	if err == nil {
		err = host.SetAddresses(bridge, plan)
	}
	if err == nil {
		err = host.AwaitAddresses(bridge, plan.Want)
	}
	return []string{fmt.Sprintf("bridge %s has %s again", bridge.Name, strings.Trim(fmt.Sprint(lost), "[]"))}, err
}

// isElsewhere reports whether an interface is a port of another bridge. An administrator moved it; reload leaves it there.
func isElsewhere(host *link.Host, l *link.Link, bridge string) (bool, error) {
	if l.Master == 0 {
		return false, nil
	}
	b, err := host.Link(bridge)
	if errors.Is(err, link.ErrNotFound) {
		return true, nil
	}
	return err == nil && b.Index != l.Master, err
}
