package ruleset

import (
	"context"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/conntrack"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// flush deletes conntrack entries of flows to the ports of mappings; way is one of the two functions of package conntrack. The kernel
// evaluates NAT rules for the first packet of a flow only: a client that sends without a pause keeps its entry, and would still reach
// the host, or the container that had the port before.
func flush(ctx context.Context, who string, mappings []conntrack.Mapping, way func(context.Context, []conntrack.Mapping, conntrack.Local) error) {
	if len(mappings) == 0 {
		return
	}
	host, err := link.OpenHost() // its own netlink socket: this may run at the same time as other steps
	if err == nil {
		defer host.Close()
		err = way(ctx, mappings, host.IsLocal)
	}
	if err != nil && !errors.Is(err, conntrack.ErrUnsupported) {
		report.Warn("%s: %s; existing UDP and SCTP flows to its ports may be misdirected until they are idle", who, report.OneLine(err))
	}
}

// datagrams returns the UDP and SCTP mappings of a record. A TCP flow ends with its connection; conntrack ends the others only after
// a timeout without packets.
func datagrams(r *store.Record) []conntrack.Mapping {
	if r.Publish == nil {
		return nil
	}
	var all []conntrack.Mapping
	for _, p := range r.Publish.Ports {
		if p.Protocol == "tcp" {
			continue
		}
		all = append(all, conntrack.Mapping{
			Proto: protocols()[p.Protocol], HostIP: p.HostIP, HostPort: p.HostPort, Count: uint16(p.Len()),
			Container: netip.AddrPortFrom(p.Container, p.ContainerPort),
		})
	}
	return all
}

// mappingsOf is datagrams for ports that only the ruleset knows.
func mappingsOf(ports []nft.Port) []conntrack.Mapping {
	var all []conntrack.Mapping
	for _, p := range ports {
		if p.Proto == unix.IPPROTO_TCP {
			continue
		}
		all = append(all, conntrack.Mapping{Proto: p.Proto, HostIP: p.HostIP, HostPort: p.HostPort, Count: 1, Container: p.Container})
	}
	return all
}
