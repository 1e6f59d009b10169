package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// unrecorded reports addresses of container interfaces that their records do not have, and that something else on the
// bridge has. It adds to had, the addresses of the records. It sends nothing to the network.
func (x *examination) unrecordedAddresses(b *bridge, had map[netip.Addr]*store.Record, gateways map[netip.Addr]string) (found []Finding, err error) {
	denied := 0
	for _, r := range b.records {
		l, failed := x.containerLink(r)
		if failed != nil {
			err, denied = failed, denied+1
		}
		if l == nil {
			continue
		}
		for _, a := range l.Addresses {
			addr := a.Prefix.Addr()
			if slices.ContainsFunc(r.Addresses, func(own store.Address) bool { return own.Address.Addr() == addr }) {
				continue
			}
			if other := b.holderOf(addr, had[addr], gateways); other != "" {
				found = append(found, unrecordedAddress(r, l.Name, a.Prefix, other))
			} else {
				had[addr] = r
			}
		}
	}
	if denied > 1 { // without CAP_SYS_ADMIN all of them are
		err = fmt.Errorf("%w (and %d more)", err, denied-1)
	}
	return alike(found), err
}

func unrecordedAddress(r *store.Record, ifname string, address netip.Prefix, other string) Finding {
	del := []string{"ip", "address", "del", address.String(), "dev", printable.Name(ifname)}
	if named := netnsName(r.Netns); named != "" {
		del = slices.Concat([]string{"ip", "-n", printable.Name(named)}, del[1:])
	} else {
		del = slices.Concat([]string{"nsenter", "--net=" + r.Netns}, del)
	}
	return Finding{
		Says: fmt.Sprintf("duplicate address %s: %s, and also of interface %s of %s", address.Addr(), other, ifname, identity.Label(r)),
		Seen: fmt.Sprintf("%s in %s has %s, which is not in its record", ifname, r.Netns, address),
		Fix:  []string{printable.Command(del...)},
	}
}

// holderOf describes what else on a bridge has an address, "" if nothing does.
func (b *bridge) holderOf(addr netip.Addr, other *store.Record, gateways map[netip.Addr]string) string {
	switch {
	case other != nil:
		return "the address of " + identity.Label(other)
	case slices.ContainsFunc(b.link.Addresses, func(a link.SurveyAddress) bool { return a.Prefix.Addr() == addr }):
		return "an address of bridge " + b.name
	}
	return gateways[addr]
}

// containerLink returns the container interface of a live attachment; nil if its network namespace no longer exists, or
// is another one at the same path. An error is a namespace that cannot be entered.
func (x *examination) containerLink(r *store.Record) (*link.SurveyLink, error) {
	s, err := x.netns(r.Netns)
	if errors.Is(err, link.ErrNoNetns) || errors.Is(err, link.ErrNotNetns) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read addresses of %s: %w", identity.Label(r), err)
	}
	if r.NetnsCookie != 0 && s.Cookie != 0 && r.NetnsCookie != s.Cookie {
		return nil, nil
	}
	host := x.linkNamed(r.HostLink)
	for i := range s.Links {
		l := &s.Links[i]
		if host != nil && host.Kind == "veth" && l.Kind == "veth" && l.Index == host.Peer && l.Peer == host.Index || r.Role != store.RolePort && l.Name == r.IfName {
			return l, nil
		}
	}
	return nil, nil
}

// netns surveys a network namespace, once for all of its attachments.
func (x *examination) netns(path string) (*link.Survey, error) {
	if s := x.inside[path]; s != nil {
		return s, nil
	}
	s, err := link.SurveyNetns(path)
	if err != nil {
		return nil, err
	}
	if x.inside == nil {
		x.inside = map[string]*link.Survey{}
	}
	x.inside[path] = s
	return s, nil
}
