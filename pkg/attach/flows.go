package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

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

// alsoWanted calls each for sockets of the host that wait on one of some ports. Where the kernel does
// not tell of its sockets, nobody is harmed by not being told.
func (a *adding) alsoWanted(ports []store.Port, each func(p store.Port, by netip.AddrPort)) {
	for _, proto := range []string{"tcp", "udp"} {
		of := slices.DeleteFunc(slices.Clone(ports), func(p store.Port) bool { return p.Protocol != proto })
		if len(of) == 0 {
			continue
		}
		only := uint16(0) // all, which takes no longer than a few single ones
		if len(of) == 1 && of[0].Many() == 1 {
			only = of[0].HostPort
		}
		there, _ := a.host.Listeners(protocols()[proto], only)
		for _, p := range of {
			for i := range uint16(p.Many()) {
				if by, found := there.At(p.HostAddress(), p.HostPort+i); found {
					each(p, by)
				}
			}
		}
	}
}

// warnOfPorts tells of sockets of the host whose traffic the container gets from now on, and of
// addresses that the host has not.
func (a *adding) warnOfPorts() {
	a.alsoWanted(a.record.Publish.Ports, func(p store.Port, by netip.AddrPort) {
		a.req.warn("port %d/%s is published by %s and wanted by a socket of the host (%s): the container gets what comes; stop that process, or use another hostPort (ss -lnp 'sport = %d')",
			by.Port(), p.Protocol, a.record.Key(), by, by.Port())
	})
	for _, p := range a.record.Publish.Ports {
		if !p.HostIP.IsValid() {
			continue
		}
		if local, err := a.host.IsLocal(p.HostIP); err == nil && !local {
			a.req.warn("port %d/%s is published on %s, which is no address of this host: nothing comes there as long as it has none", p.HostPort, p.Protocol, p.HostIP)
		}
	}
}

var errWanted = errors.New("is in use by a process of the host")

// notWanted refuses a person's ports that a socket of the host waits on: who publishes port 22 by
// mistake is cut off. A runtime is only warned, as by the reference.
func (a *adding) notWanted(ports []store.Port) (err error) {
	if a.req.owner() != store.OwnerCLI {
		return nil
	}
	a.alsoWanted(ports, func(p store.Port, by netip.AddrPort) {
		if err == nil {
			err = fmt.Errorf("port %d/%s %w (%s)", by.Port(), p.Protocol, errWanted, by)
		}
	})
	return err
}
