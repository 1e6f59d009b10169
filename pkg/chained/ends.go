package chained

import (
	"fmt"
	"net/netip"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// ends are the two ends of an attachment as the kernel has them.
type ends struct {
	inside *link.Link // the container interface
	host   *link.Link // its other end; nil if it has none on this host, as with macvlan

	// via is the interface by which the host sends and receives the packets of the container: the bridge of which the host
	// interface is a port, or else the host interface itself; "" without one.
	via string
}

// findEnds looks the interface up in the container, and from there its other end. An interface index is unique in its namespace
// only, so each end must name the other.
func findEnds(host *link.Host, sandbox *link.Sandbox, ifName string) (ends, error) {
	inside, err := sandbox.Link(ifName)
	if err != nil {
		return ends{}, fmt.Errorf("container interface %s: %w", ifName, err)
	}
	e := ends{inside: inside}
	if inside.Kind != "veth" || inside.Peer == 0 {
		return e, nil
	}
	l, err := host.LinkAt(inside.Peer)
	if err != nil || l.Kind != "veth" || l.Peer != inside.Index {
		return e, nil //nolint:nilerr // the other end is in another namespace
	}
	if in, err := host.PeerInSandbox(l, sandbox); err != nil || !in {
		return e, err
	}
	e.host, e.via = l, l.Name
	if l.Master == 0 {
		return e, nil
	}
	master, err := host.LinkAt(l.Master)
	if err == nil && master.Kind == "bridge" {
		e.via = master.Name
	}
	return e, err
}

// addressesIn returns the addresses that a result has for an interface of a container: those with the index of that interface, and those
// without an index.
func addressesIn(r *types100.Result, ifName string) []store.Address {
	var all []store.Address
	for _, ip := range r.IPs {
		if i := ip.Interface; i != nil && *i >= 0 && *i < len(r.Interfaces) && (r.Interfaces[*i].Name != ifName || r.Interfaces[*i].Sandbox == "") {
			continue
		}
		if a, ok := attach.AddressOf(ip); ok {
			all = append(all, a)
		}
	}
	return all
}

// strangers returns those of the addresses that the container interface does not have.
func strangers(sandbox *link.Sandbox, inside *link.Link, addresses []store.Address) ([]netip.Addr, error) {
	has, err := sandbox.Addresses(inside.Index)
	if err != nil {
		return nil, err
	}
	var missing []netip.Addr
	for _, a := range addresses {
		if !containsAddr(has, a.Address.Addr()) {
			missing = append(missing, a.Address.Addr())
		}
	}
	return missing, nil
}

func containsAddr(all []netip.Prefix, addr netip.Addr) bool {
	for _, p := range all {
		if p.Addr() == addr {
			return true
		}
	}
	return false
}
