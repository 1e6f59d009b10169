package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// look checks the host for any container (preflight), and then for this one. It opens both namespaces and locks the record. It
// changes nothing in the network, except that it removes a stale attachment of the same key.
func (a *adding) look(ctx context.Context) (err error) {
	if a.host, err = OpenHost(ctx); err != nil {
		return err
	}
	a.host.Warn = a.req.warnOf
	if err := a.examine(false); err != nil {
		return err
	}
	if a.sandbox, err = link.OpenSandbox(a.req.Netns, a.req.HostNetnsAllowed); err != nil {
		return err
	}
	a.sandbox.Warn, a.sandbox.Until = a.req.warnOf, deadline(ctx)
	if a.chained, err = a.findChainLink(); err != nil {
		return err
	}
	if err := a.checkInside(); err != nil {
		return err
	}
	if err := a.checkIfName(); err != nil {
		return err
	}
	if err := a.checkTap(); err != nil {
		return err
	}
	a.warnUnpublished()
	if err := a.checkPorts(); err != nil {
		return err
	}
	if err := a.isolate(); err != nil {
		return err
	}
	if a.state, err = store.Open(ctx, dirs(a.cfg.Ident), a.req.Key(a.cfg.Name)); err != nil {
		return err
	}
	if err := a.removeStale(ctx); err != nil {
		return err
	}
	return a.checkUnenslaved()
}

// checkIfName returns link.ErrExists if the container already has another interface of that name. It runs before a state
// directory is created. If the host interface of this attachment exists, the interface may be its peer: removeStale then
// decides by the record. An interface of a previous plugin in the chain is expected.
func (a *adding) checkIfName() error {
	if a.chained != nil {
		return nil
	}
	for seen := 0; ; {
		l, err := a.sandbox.Link(a.req.IfName)
		switch {
		case errors.Is(err, link.ErrNotFound):
			return nil
		case err != nil:
			return err
		case l.Index == seen: // the same interface as before, and no host interface in between
			return fmt.Errorf("interface %s in %s: %w", a.req.IfName, a.req.Netns, link.ErrExists)
		}
		// The record is not locked yet, so that a concurrent DEL of this attachment can delete the veth pair
		// between the two lookups. The next iteration then finds no interface, or that of a concurrent ADD.
		seen = l.Index
		if _, err := a.host.Link(a.names.HostInterface); !errors.Is(err, link.ErrNotFound) {
			return err
		}
		if other, err := a.host.LinkAt(l.Peer); err == nil && identity.MarkOf(other.Alias) == a.names.Mark {
			return nil // the host interface was renamed
		}
	}
}

// warnUnpublished reports port mappings that have no effect. The reference portmap ignores them too.
func (a *adding) warnUnpublished() {
	for _, p := range a.cfg.Publish.Unused {
		if p.NotPublished {
			a.req.Warn("%s; %s", p, p.Fix)
		}
	}
}

// checkPorts returns an error if another attachment publishes one of the ports. The address families follow from the pool.
// Addresses of a delegated IPAM plugin are not known yet: for them the transaction of publish fails.
func (a *adding) checkPorts() error {
	if len(a.cfg.Publish.Ports) == 0 || a.cfg.IPAM == nil {
		return nil
	}
	var addresses []store.Address
	for _, set := range a.cfg.IPAM.Pool.Sets {
		addresses = append(addresses, store.Address{Address: netip.PrefixFrom(set[0].Start, set[0].Subnet.Bits())})
	}
	ports, _ := PortsOf(a.cfg.Publish.Ports, addresses)
	err := a.rules.CheckPortsFree(a.names.Alias, ports, a.cfg.DataDir)
	if err != nil && !ruleset.OfSameContainer(err, a.req.Key(a.cfg.Name)) {
		return err
	}
	return a.checkListeners(ports)
}

// checkListeners returns an error if the command line publishes a port on which a process of the host listens: publishing
// port 22 would cut off the SSH sessions of its own user. A runtime only gets a warning, because the reference portmap accepts it.
func (a *adding) checkListeners(ports []store.Port) error {
	if a.req.OwnerName() != store.OwnerCLI {
		return nil
	}
	return noListener(a.host, ports)
}

// removeStale looks for an earlier attachment of this key by record and derived name. It returns an error if that is live, and
// removes it if it is stale: a runtime may use an ID again after a crash (nomad issue 15763, nerdctl issue 3355).
func (a *adding) removeStale(ctx context.Context) error {
	l, err := a.host.Link(a.names.HostInterface)
	if err != nil && !errors.Is(err, link.ErrNotFound) {
		return err
	}
	if l != nil && !l.IsOurs(a.names.Mark) {
		return fmt.Errorf("interface %s, the name derived for this attachment: %w (alias %q)", l.Name, link.ErrNotOwned, l.Alias)
	}
	if l != nil && l.Alias != "" && !a.isUnfinished() {
		return a.errLive()
	}
	if errors.Is(a.state.Broken, store.ErrNewer) {
		return a.state.Broken
	}
	if l == nil && a.state.Record == nil && a.state.Broken == nil {
		return nil // the usual case: there was no earlier ADD
	}
	if a.state.Record != nil && a.isLive(a.state.Record) {
		return a.errLive()
	}
	a.prefer = a.state.Record.Addrs()
	return (&removal{key: a.state.Key, names: a.names, host: a.host, state: a.state, bridge: a.cfg.Bridge, asked: &a.req}).run(ctx)
}

// isUnfinished reports whether an earlier ADD was killed while it called a delegated IPAM plugin. No runtime has its result, so
// that its host interface, though it exists, is not in use.
func (a *adding) isUnfinished() bool {
	return a.state.Record != nil && a.state.Record.IPAM == store.IPAMPending
}

// isLive reports whether a record's attachment may be in use although no interface of the derived name exists, or although it
// has no alias yet.
func (a *adding) isLive(r *store.Record) bool {
	checker := liveness.New(a.host)
	switch {
	case checker.InOtherHost(r):
		return true
	case r.Role == store.RoleChained:
		return a.isChainLive(r)
	}
	// The recorded name differs from the derived one if the machine-id has changed since.
	return r.HostLink != a.names.HostInterface && !checker.IsStale(r) || checker.IsRenamed(r) && !a.isUnfinished()
}

// errLive returns the error for a live attachment of this key: attached already, or attached in another namespace.
func (a *adding) errLive() error {
	r := a.state.Record
	if r == nil {
		return fmt.Errorf("%w: %s has the alias of this attachment, but there is no readable record", ErrIDInUse, a.names.HostInterface)
	}
	same := r.NetnsCookie == a.sandbox.Cookie() && r.NetnsCookie != 0 || r.NetnsCookie == 0 && r.Netns == a.req.Netns
	if same {
		return fmt.Errorf("%w: container %s has %s on network %s", errAttached, a.req.ContainerID, a.req.IfName, a.cfg.Name)
	}
	return fmt.Errorf("%w: container %s is attached to network %s in %s, and this call names %s", ErrIDInUse, a.req.ContainerID, a.cfg.Name, r.Netns, a.req.Netns)
}
