package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// probeLimit is the time limit for the probes of all bridges.
const probeLimit = 10 * time.Second

// probe asks on each bridge which interfaces have the addresses of the attachments, if the bridge connects to other hosts,
// and which have the gateway addresses that the host has there. It reports answers of any other interface.
func (x *examination) probe() (found []Finding, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	defer cancel()
	for _, b := range x.bridges {
		by := map[string][]*store.Record{} // by the interface of their layer 2 segment
		var names []string
		for _, r := range b.records {
			if by[r.RoutedBy()] == nil {
				names = append(names, r.RoutedBy())
			}
			by[r.RoutedBy()] = append(by[r.RoutedBy()], r)
		}
		for _, name := range names {
			more, failed := x.probeSegment(ctx, b, name, by[name])
			found, err = append(found, more...), errors.Join(err, failed)
		}
	}
	return alike(found), err
}

// probeSegment probes the addresses of a bridge, or of a VLAN of it that has an interface of the host.
func (x *examination) probeSegment(ctx context.Context, b *bridge, name string, records []*store.Record) (found []Finding, err error) {
	if b.link == nil || b.link.Kind != "bridge" {
		return nil, nil // hostInterfaces reports a bridge that does not exist
	}
	on, err := x.host.Bridge(b.name)
	if err == nil {
		on, err = x.host.Gate(on, name)
	}
	if err != nil || !on.Up || on.MAC == nil {
		return nil, nil //nolint:nilerr // hostInterfaces and segments report it
	}
	expected, err := x.expected(b, records)
	if err != nil || len(expected) == 0 {
		return nil, err
	}
	answers, err := x.host.ProbeOthers(ctx, on, expected)
	for _, a := range answers {
		found = append(found, b.answered(a, records))
	}
	return found, err
}

// expected returns the addresses to probe, with the MAC of the interface that must have each. The host does not answer its own
// probes.
func (x *examination) expected(b *bridge, records []*store.Record) (map[netip.Addr]net.HardwareAddr, error) {
	all := map[netip.Addr]net.HardwareAddr{}
	now, err := x.host.Bridge(b.name)
	if err != nil {
		return nil, err
	}
	isOther := func(l *link.Link) bool { return identity.MarkOf(l.Alias) != "" }
	uplink, err := x.host.UnmanagedPort(now, identity.IsHostInterface, isOther)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		for _, a := range r.Addresses {
			mac, err := net.ParseMAC(r.MAC)
			if uplink != nil && err == nil && a.Address.Addr().IsValid() {
				all[a.Address.Addr()] = mac
			}
			if gateway := a.NetworkGateway(); r.Gateway && gateway.IsValid() {
				all[gateway] = now.MAC
			}
		}
	}
	return all, nil
}

// answered returns the finding for an answer of an interface that must not have the address.
func (b *bridge) answered(a link.Answer, records []*store.Record) Finding {
	f := Finding{
		Says: fmt.Sprintf("duplicate address %s, the gateway on bridge %s: also answered by %s", a.Addr, b.name, a.MAC),
		Seen: "an answer to a probe (ARP, neighbour discovery)",
		Fix:  []string{fmt.Sprintf("# remove %s from the interface with MAC %s", a.Addr, a.MAC)},
	}
	for _, r := range records {
		for _, address := range r.Addresses {
			if address.Address.Addr() == a.Addr {
				f.Says = fmt.Sprintf("duplicate address %s of %s: also answered by %s on bridge %s", a.Addr, identity.Label(r), a.MAC, b.name)
				f.Fix = []string{f.Fix[0] + ", or", again(r)}
			}
		}
		if mac, err := net.ParseMAC(r.MAC); err == nil && bytes.Equal(mac, a.MAC) {
			f.Seen += ", of " + identity.Label(r)
		}
	}
	return f
}
