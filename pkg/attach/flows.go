package attach

import (
	"context"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/conntrack"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// flush ends flows by one of package conntrack's two ways. Without it a client that goes on sending
// would reach nobody, or who had the port before. What hinders it is no reason to fail.
func flush(ctx context.Context, r *store.Record, way func(context.Context, []conntrack.Mapping, conntrack.Local) error) {
	end(ctx, r.Key().String(), datagrams(r), way)
}

// end is flush for mappings of whom a word tells.
func end(ctx context.Context, who string, mappings []conntrack.Mapping, way func(context.Context, []conntrack.Mapping, conntrack.Local) error) {
	if len(mappings) == 0 {
		return
	}
	host, err := link.OpenHost() // one of its own: this may run beside other steps
	if err == nil {
		defer host.Close()
		err = way(ctx, mappings, host.IsLocal)
	}
	if err != nil && !errors.Is(err, conntrack.ErrUnsupported) {
		warn("%s: %s; what was sent to its ports before goes astray until it pauses", who, sentence(err))
	}
}

// datagrams are the mappings whose flows have no end of their own.
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
			Proto: protocols()[p.Protocol], HostIP: p.HostIP, HostPort: p.HostPort, Count: uint16(p.Many()),
			Container: netip.AddrPortFrom(p.Container, p.ContainerPort),
		})
	}
	return all
}

// mappingsOf are the mappings of ports of which only the ruleset told.
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

// beginFlush runs flush beside the steps that follow, because a look at the kernel's table of flows
// takes longer than they do; endFlush waits for it.
func (a *adding) beginFlush(ctx context.Context) {
	if len(datagrams(a.record)) == 0 {
		return
	}
	done := make(chan struct{})
	a.flushed = done
	go func() {
		defer close(done)
		// An ADD that has come here may end well in spite of a signal, and then this is due; it has
		// its own deadline.
		flush(context.WithoutCancel(ctx), a.record, conntrack.FlushStale)
	}()
}

func (a *adding) endFlush() {
	if a.flushed != nil {
		<-a.flushed
	}
}

// warnOfListeners tells of sockets of the host whose traffic the container gets from now on.
func (a *adding) warnOfListeners() {
	for _, proto := range []string{"tcp", "udp"} {
		ports := a.portsOfProtocol(proto)
		if len(ports) == 0 {
			continue
		}
		only := uint16(0) // all, which takes no longer than a few single ones
		if len(ports) == 1 && ports[0].Many() == 1 {
			only = ports[0].HostPort
		}
		there, err := a.host.Listeners(protocols()[proto], only)
		if err != nil {
			return // nobody is harmed by not being told
		}
		for _, p := range ports {
			a.warnOfListener(p, there)
		}
	}
}

func (a *adding) portsOfProtocol(proto string) (ports []store.Port) {
	for _, p := range a.record.Publish.Ports {
		if p.Protocol == proto {
			ports = append(ports, p)
		}
	}
	return ports
}

func (a *adding) warnOfListener(p store.Port, there link.Listeners) {
	at := p.HostIP
	if !at.IsValid() {
		at = netip.IPv6Unspecified()
		if p.Container.Is4() {
			at = netip.IPv4Unspecified()
		}
	}
	for i := range uint16(p.Many()) {
		if l, found := there.At(at, p.HostPort+i); found {
			a.req.warn("port %d/%s is published by %s and wanted by a socket of the host (%s): the container gets what comes; stop that process, or use another hostPort (ss -lnp 'sport = %d')",
				l.Port(), p.Protocol, a.record.Key(), l, l.Port())
		}
	}
}
