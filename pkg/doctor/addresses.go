package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// addresses reports duplicate addresses on a bridge, whose packets reach either of the two: first those of the records,
// then those that container interfaces have beside their records; and outbound addresses that the host does not have.
func (x *examination) addresses() (found []Finding, err error) {
	for _, b := range x.bridges {
		if b.link == nil {
			continue
		}
		gateways := x.gatewaysOf(b)
		had := map[netip.Addr]*store.Record{}
		for _, r := range b.records {
			for _, address := range r.Addresses {
				addr := address.Address.Addr()
				found = append(found, b.duplicates(r, address.Address, had[addr], gateways)...)
				if had[addr] == nil {
					had[addr] = r
				}
			}
		}
		added, failed := x.unrecordedAddresses(b, had, gateways)
		found, err = append(found, added...), errors.Join(err, failed)
	}
	return append(found, x.outbound()...), err
}

// outbound reports addresses of outboundAddr4 and outboundAddr6 that the host does not have, once for each network.
func (x *examination) outbound() (found []Finding) {
	for _, r := range x.live {
		if r.Masquerade == nil {
			continue
		}
		for _, addr := range []netip.Addr{r.Masquerade.Outbound4, r.Masquerade.Outbound6} {
			for _, says := range attach.MissingOutbound(x.host, addr) {
				f := Finding{
					Says: fmt.Sprintf("network %s: %s", r.Network, says),
					Seen: printable.Command("ip", "route", "get", addr.String()) + " does not print local",
					Fix:  []string{"# add that address to the host, or route it to this host, or change the key and attach the containers again"},
				}
				if !slices.ContainsFunc(found, func(other Finding) bool { return other.Says == f.Says }) {
					found = append(found, f)
				}
			}
		}
	}
	return found
}

// gatewaysOf returns the gateways of the networks on a bridge and of the host's default routes through it, each with a
// description. The next hop of another route may be a container on purpose, as a router.
func (x *examination) gatewaysOf(b *bridge) map[netip.Addr]string {
	gateways := map[netip.Addr]string{}
	for _, r := range b.records {
		for _, address := range r.Addresses {
			if gateway := address.NetworkGateway(); gateway.IsValid() {
				gateways[gateway] = "the gateway of network " + r.Network
			}
		}
	}
	for _, route := range x.survey.Routes {
		if route.Link == b.name && route.Gateway.IsValid() {
			gateways[route.Gateway] = "the host's default gateway through bridge " + b.name
		}
	}
	return gateways
}

// duplicates reports what else has the address of a container: the bridge, a gateway, or a container earlier in the list;
// or that no host can use the address.
func (b *bridge) duplicates(r *store.Record, address netip.Prefix, other *store.Record, gateways map[netip.Addr]string) []Finding {
	addr := address.Addr()
	f := Finding{Seen: fmt.Sprintf("record of %s: %s", r.Key(), address), Fix: []string{again(r)}}
	i := slices.IndexFunc(b.link.Addresses, func(a link.SurveyAddress) bool { return a.Prefix.Addr() == addr })
	switch {
	case i >= 0:
		f.Says = fmt.Sprintf("duplicate address %s: of %s, and of bridge %s", addr, identity.Label(r), b.name)
		del := printable.Command("ip", "address", "del", b.link.Addresses[i].Prefix.String(), "dev", printable.Name(b.name))
		f.Fix = append(f.Fix, "# or, if the host does not need it: "+del)
	case gateways[addr] != "":
		f.Says = fmt.Sprintf("address %s of %s is also %s: packets for the gateway reach the container", addr, identity.Label(r), gateways[addr])
	case other != nil:
		f.Says = fmt.Sprintf("duplicate address %s on bridge %s: of %s and of %s", addr, b.name, identity.Label(other), identity.Label(r))
		f.Seen = fmt.Sprintf("records of %s and of %s", other.Key(), r.Key())
	default:
		why := attach.Unusable(address)
		if why == nil {
			return nil
		}
		f.Says = fmt.Sprintf("address %s of %s %v: it cannot be used for TCP connections", addr, identity.Label(r), why)
	}
	return []Finding{f}
}

// again returns how an attachment gets another address.
func again(r *store.Record) string {
	if r.Owner == store.OwnerCLI {
		return "# detach it, and attach it again with another --ip: " + endOf(r)[0]
	}
	return fmt.Sprintf("# recreate container %s, which gets it another address", r.ContainerID)
}
