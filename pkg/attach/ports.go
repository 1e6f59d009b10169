package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

var errNoFamily = errors.New("is for a family of which the container has no address")

// reachesItself reports whether the port of the bridge must let frames out where they came in: where
// br_netfilter shows bridged packets to the ruleset, a container's packet to a port that it
// publishes itself is translated there, and goes back without ever being routed.
func (a *adding) reachesItself() bool {
	return len(a.cfg.Publish.Ports) > 0 && a.cfg.Publish.SNAT && !a.cfg.PromiscMode && link.BridgeCallsNetfilter()
}

// planPorts puts into the record which ports of the host lead to which address.
func (a *adding) planPorts() error {
	p := a.cfg.Publish
	ports, err := portsOf(p.Ports, a.record.Addresses)
	if err != nil || len(ports) == 0 {
		return err
	}
	a.record.Publish = &store.Publish{Ports: ports, Plain: !p.SNAT, All: p.MasqAll, MarkBit: p.MarkBit, Localhost: p.SNAT && p.Localhost && opensLocalhost(ports)}
	return nil
}

// portsAreFree refuses ports that others have before anything is done. Which families they are for,
// the pool tells; what another IPAM gives, only publish sees.
func (a *adding) portsAreFree() error {
	if len(a.cfg.Publish.Ports) == 0 || a.cfg.IPAM == nil {
		return nil
	}
	var addresses []store.Address
	for _, set := range a.cfg.IPAM.Pool.Sets {
		addresses = append(addresses, store.Address{Address: netip.PrefixFrom(set[0].Start, set[0].Subnet.Bits())})
	}
	ports, err := portsOf(a.cfg.Publish.Ports, addresses)
	if err != nil {
		return err
	}
	e := nft.Entry{Owner: a.names.alias}
	for _, p := range ports {
		e.Ports = append(e.Ports, expand(p)...)
	}
	if err := a.rules.Free(e, a.isGone); err != nil {
		return err
	}
	return a.notWanted(ports)
}

// portsOf leads each mapping to the container's first address of either family, as the reference does.
func portsOf(mappings []config.PortMapping, addresses []store.Address) ([]store.Port, error) {
	var all []store.Port
	for _, m := range mappings {
		before := len(all)
		for _, is4 := range []bool{true, false} {
			i := slices.IndexFunc(addresses, func(a store.Address) bool { return a.Address.Addr().Is4() == is4 })
			if i < 0 || !m.Wants(is4) {
				continue
			}
			p := store.Port{
				Protocol: m.Protocol, HostPort: m.HostPort, Count: m.Count,
				Container: addresses[i].Address.Addr(), ContainerPort: m.ContainerPort,
			}
			if m.Specific() {
				p.HostIP = m.HostIP
			}
			all = append(all, p)
		}
		if len(all) == before {
			return nil, fmt.Errorf("port %s %w", m, errNoFamily)
		}
	}
	return all, nil
}

// opensLocalhost reports whether one of the ports is reached by 127.0.0.1.
func opensLocalhost(ports []store.Port) bool {
	return slices.ContainsFunc(ports, func(p store.Port) bool {
		return p.Container.Is4() && (!p.HostIP.IsValid() || p.HostIP.IsLoopback())
	})
}

// opened does what has to follow once the elements are there: the rule that closes what
// route_localnet opens is one of them.
func (a *adding) opened(ctx context.Context) error {
	if a.record.Publish == nil {
		return nil
	}
	a.warnOfPorts()
	a.beginFlush(ctx)
	if a.record.Publish.Localhost {
		return a.host.RouteLocalnet(a.record.Bridge)
	}
	return nil
}

// relocalize opens 127.0.0.1 to the ports again, on bridges that have lost it.
func relocalize(host *link.Host, living []*store.Record) (done []string, err error) {
	seen := map[string]bool{}
	for _, r := range living {
		if r.Publish == nil || !r.Publish.Localhost || seen[r.Bridge] || link.RoutesLocalnet(r.Bridge) {
			continue
		}
		seen[r.Bridge] = true
		if failed := host.RouteLocalnet(r.Bridge); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		done = append(done, fmt.Sprintf("bridge %s routes 127.0.0.0/8 again, for published ports", r.Bridge))
	}
	return done, err
}

// inRules reports whether an attachment has something in the ruleset.
func inRules(r *store.Record) bool { return r.Masquerade != nil || r.Publish != nil || r.Policy != "" }

// policyOf is the ingressPolicy as a record has it.
func policyOf(cfg *config.Config) string {
	if cfg.IngressPolicy == config.PolicyOpen {
		return ""
	}
	return cfg.IngressPolicy
}

// entryOf is what a record says of the ruleset.
func entryOf(r *store.Record) nft.Entry {
	e := nft.Entry{Network: r.Network, Bridge: r.Bridge, HostLink: r.HostLink, Owner: r.Alias, MarkBit: nft.UsualMarkBit}
	if m := r.Masquerade; m != nil {
		e.Addresses, e.Exclude, e.RandomFully = m.Addresses, m.Exclude, m.RandomFully
	}
	if p := r.Publish; p != nil {
		e.Plain, e.All, e.MarkBit, e.Localhost = p.Plain, p.All, p.MarkBit, p.Localhost
		for _, port := range p.Ports {
			e.Ports = append(e.Ports, expand(port)...)
		}
	}
	switch r.Policy {
	case config.PolicySameBridge:
		e.Isolation = nft.SameBridge
	case config.PolicyIsolated:
		e.Isolation = nft.Isolated
	}
	return e
}

// expand are the single ports of several.
func expand(p store.Port) []nft.Port {
	all, proto := make([]nft.Port, 0, p.Many()), protocols()[p.Protocol]
	for i := range uint16(p.Many()) {
		all = append(all, nft.Port{
			Proto: proto, HostIP: p.HostIP, HostPort: p.HostPort + i,
			Container: netip.AddrPortFrom(p.Container, p.ContainerPort+i),
		})
	}
	return all
}

func protocols() map[string]uint8 {
	return map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}
}
