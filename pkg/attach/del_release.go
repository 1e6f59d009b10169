package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/delegate"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// release releases the addresses of the attachment. With a readable record, those are the recorded ones; without, those whose address
// file names the attachment.
func (r *removal) release(ctx context.Context) error {
	if r.unasked {
		return r.state.Reclaim(ctx)
	}
	if err := r.releaseForeign(ctx); err != nil {
		return err
	}
	if r.state.Record != nil && r.state.Broken == nil {
		return r.state.Release(ctx)
	}
	held, err := r.held()
	if err != nil || len(held) == 0 && r.state.Record == nil {
		return err
	}
	// Only the record says which addresses have a host route. Removing one from all of them is safe: no other route on the bridge
	// has a single address of this attachment as its destination.
	for _, addr := range held {
		if r.bridge != "" {
			err = errors.Join(err, r.host.RemoveHostRoute(r.bridge, addr))
		}
	}
	if err != nil {
		return err
	}
	if !r.since.IsZero() {
		return r.state.ReleaseUnrecorded(ctx, held, r.since)
	}
	return r.state.Release(ctx)
}

// held returns the addresses of an attachment without a record.
func (r *removal) held() ([]netip.Addr, error) {
	if !r.since.IsZero() {
		return r.found, nil
	}
	return r.state.HeldAddresses()
}

// releaseForeign calls DEL of the delegated IPAM plugin: the recorded one, or the configured one if there is no record.
func (r *removal) releaseForeign(ctx context.Context) error {
	name, reserved := r.foreignType()
	if name == "" {
		return nil
	}
	plugin, err := delegate.Find(name, r.asked.Path)
	if err == nil && plugin.IsSelf() {
		return r.takeOver()
	}
	if err == nil {
		_, err = within(ctx, plugin).CallFor(ctx, r.environment(), r.asked.Config)
	}
	if ran(err) || errors.Is(err, delegate.ErrInterrupted) {
		return err
	}
	if reserved {
		return fmt.Errorf("%w: %w", errStillReserved, err)
	}
	report.Warn("%s; assuming that it reserved no address", report.OneLine(err))
	return nil
}

// foreignType returns the type of the delegated IPAM plugin, "" for none, and whether it is known to have assigned addresses.
func (r *removal) foreignType() (name string, reserved bool) {
	if r.asked == nil {
		return "", false
	}
	if record := r.state.Record; record != nil && (r.state.Broken == nil || record.IPAMType != "") { // a newer version may record it in another field
		return record.IPAMType, record.IPAM == store.IPAMDone
	}
	if id := r.asked.identify(); id.DelegatesIPAM() {
		return id.IPAMType, false
	}
	return "", false
}

// environment returns the environment for the DEL of the IPAM plugin: the one of this call, with other CNI_* variables if the call is
// about another attachment, as in a GC.
func (r *removal) environment() []string {
	env := []string{"CNI_COMMAND=DEL"}
	if r.asked.Key(r.key.Network) == r.key {
		return env
	}
	env = append(env, "CNI_CONTAINERID="+r.key.ContainerID, "CNI_IFNAME="+r.key.IfName)
	if r.state.Record != nil {
		env = append(env, "CNI_NETNS="+r.state.Record.Netns)
	}
	return env
}

// takeOver makes the built-in IPAM release addresses that host-local assigned, if Patchbay is installed in its place since: both use
// the same files.
func (r *removal) takeOver() error {
	if id := r.asked.identify(); isStatic(id.IPAMType) {
		return nil // no file says who has the addresses of static
	}
	if r.state.Record != nil {
		r.state.Record.DataDir = r.asked.identify().DataDir
	}
	return nil
}

// owns reports whether an address belongs to this attachment. One of a delegated IPAM plugin does, although it has no address file,
// until the DEL of that plugin.
func (r *removal) owns(addr netip.Addr) (bool, error) {
	if r.state.Record != nil && r.state.Record.IPAMType != "" {
		return true, nil
	}
	return r.state.Owns(addr)
}
