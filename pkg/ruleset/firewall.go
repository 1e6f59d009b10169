package ruleset

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Admit adds the two rules of `"firewall": "auto"` for a bridge to the chain of docker, where docker drops what is forwarded and
// they are missing.
func Admit(ctx context.Context, bridge, stateDir string) error {
	_, err := admit(ctx, bridge, stateDir)
	return err
}

// Readmit adds these rules again for the bridges of live attachments that have lost them. It returns what it did, one sentence each.
func Readmit(ctx context.Context, stateDir string, live []*store.Record) (done []string, err error) {
	seen := map[string]bool{}
	for _, r := range live {
		bridge := r.RoutedBy()
		if !r.FirewallAuto || seen[bridge] {
			continue
		}
		seen[bridge] = true
		added, failed := admit(ctx, bridge, stateDir)
		if added {
			done = append(done, "docker's chain DOCKER-USER has the rules for bridge "+bridge+" again")
		}
		err = errors.Join(err, failed)
	}
	return done, err
}

// admit is Admit, and reports whether it added a rule.
func admit(ctx context.Context, bridge, stateDir string) (added bool, err error) {
	err = withFilters(func(filters *firewall.Filters) error {
		if needs, err := needsRules(ctx, filters, bridge, stateDir); err != nil || !needs {
			return err
		}
		unlock, err := Lock(ctx, stateDir, Build)
		if err != nil {
			return err
		}
		defer unlock()
		added, err = filters.Allow(bridge)
		return err
	})
	return added, err
}

// needsRules looks under the lock: a process that has listed the records before the one of this bridge existed has also removed
// the rules by then, and one that lists them later finds it.
func needsRules(ctx context.Context, filters *firewall.Filters, bridge, stateDir string) (bool, error) {
	unlock, err := Lock(ctx, stateDir, Shared)
	if err != nil {
		return false, err
	}
	defer unlock()
	return filters.Needs(bridge)
}

// AdmitCommands returns what Admit would do for a bridge, as commands of iptables(8) and nft(8); with existing those for the rules that
// the bridge has already. It takes no lock, and changes nothing.
func AdmitCommands(bridge string, existing bool) (commands [][]string, err error) {
	err = withFilters(func(filters *firewall.Filters) (err error) {
		if existing {
			commands, err = filters.AllowedCommands(bridge)
			return err
		}
		commands, err = filters.Commands(bridge)
		return err
	})
	return commands, err
}

// disallow removes the rules of bridges that no record names any more, and returns these bridges. The caller holds the lock.
func disallow(stateDir string) (gone []string, err error) {
	err = withFilters(func(filters *firewall.Filters) error {
		bridges, err := filters.Allowed()
		if err != nil || len(bridges) == 0 {
			return err
		}
		all, err := liveness.Records(stateDir)
		if err != nil {
			return err
		}
		for _, bridge := range bridges {
			named := slices.ContainsFunc(all, func(e store.Entry) bool { return e.Record == nil || e.Record.RoutedBy() == bridge })
			if named {
				continue // also if a record cannot be read, which may
			}
			if _, err := filters.Disallow(bridge); err != nil {
				return err
			}
			gone = append(gone, bridge)
		}
		return nil
	})
	return gone, err
}

// Expel removes the two rules of an interface from the chain of docker, for an interface that one attachment alone has had.
func Expel(ctx context.Context, name, stateDir string) error {
	return withFilters(func(filters *firewall.Filters) error {
		if all, err := filters.Allowed(); err != nil || !slices.Contains(all, name) {
			return err
		}
		unlock, err := Lock(ctx, stateDir, Build)
		if err != nil {
			return err
		}
		defer unlock()
		_, err = filters.Disallow(name)
		return err
	})
}

// RemoveReference removes the rules that the reference plugins made for an attachment, in nftables and iptables. held are the
// addresses that are reserved for it, seen those that its interface had.
func RemoveReference(key store.Key, held, seen []netip.Addr) error {
	return withFilters(func(filters *firewall.Filters) error {
		_, err := filters.RemoveReference(firewall.Reference{
			Network: key.Network, ContainerID: key.ContainerID, IfName: key.IfName, Addresses: held, Seen: seen,
		})
		return err
	})
}

// Drops returns what the packet filters of other programs drop of the traffic of some attachments to one bridge, and of
// what they send to services of the host. Subjects have the index of the record. It changes nothing. Only doctor asks: to
// read and interpret every ruleset takes too long for a verb.
func Drops(host *link.Host, services []firewall.Service, records ...*store.Record) (drops []firewall.Drop, err error) {
	b := firewall.Bridge{NFCall4: link.BridgeCalls(true), NFCall6: link.BridgeCalls(false), Services: services}
	if uplink := host.Uplink(); uplink != nil {
		b.Uplink = uplink.Name
		b.Host4, b.Host6 = uplinkAddresses(host, uplink.Name)
	}
	for i, r := range records {
		b.Name = r.RoutedBy()
		b.Routed, b.Published = b.Routed || r.Gateway, b.Published || r.Publish != nil
		for _, a := range r.Addresses {
			b.IPv4, b.IPv6 = b.IPv4 || a.Address.Addr().Is4(), b.IPv6 || a.Address.Addr().Is6()
			b.Addresses = append(b.Addresses, firewall.Subject{Attachment: i, Addr: a.Address.Addr()})
			if gateway := a.NetworkGateway(); r.Gateway && gateway.IsValid() && !slices.Contains(b.Gateways, gateway) {
				b.Gateways = append(b.Gateways, gateway)
			}
		}
		b.Ports = append(b.Ports, subjects(i, r)...)
	}
	if !b.IPv4 && !b.IPv6 { // without IPAM the containers choose their addresses
		b.IPv4, b.IPv6 = true, true
	}
	err = withFilters(func(filters *firewall.Filters) (err error) {
		drops, err = filters.Drops(b)
		return err
	})
	return drops, err
}

// uplinkAddresses returns an address of each family of an interface.
func uplinkAddresses(host *link.Host, name string) (is4, is6 netip.Addr) {
	own, err := host.OwnAddresses(name)
	if err != nil {
		return is4, is6 // published ports are then evaluated for an unknown address
	}
	for _, prefix := range own {
		switch addr := prefix.Addr(); {
		case addr.Is4() && !is4.IsValid():
			is4 = addr
		case addr.Is6() && !addr.IsLinkLocalUnicast() && !is6.IsValid():
			is6 = addr
		}
	}
	return is4, is6
}

// subjects returns the published ports of a record, each by itself.
func subjects(index int, r *store.Record) (all []firewall.Subject) {
	if r.Publish == nil {
		return nil
	}
	protocols := map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}
	for _, p := range r.Publish.Ports {
		for i := range uint16(p.Len()) {
			all = append(all, firewall.Subject{
				Attachment: index, Addr: p.Container, HostIP: p.HostIP, Protocol: protocols[p.Protocol], HostPort: p.HostPort + i, ContainerPort: p.ContainerPort + i,
			})
		}
	}
	return all
}

func withFilters(do func(*firewall.Filters) error) error {
	filters, err := firewall.Open()
	if err != nil {
		return err
	}
	defer filters.Close()
	return do(filters)
}
