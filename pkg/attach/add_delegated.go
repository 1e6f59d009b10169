package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// addAddresses is ADD as the IPAM plugin of another main plugin (macvlan, ptp, ...): CNI SPEC.md section 4, delegated plugins. The
// result has addresses, routes and DNS, and no interfaces.
func addAddresses(ctx context.Context, req Request, cfg *config.Config, out io.Writer) (err error) {
	p := &preflight{cfg: cfg}
	if err := p.examine(false); err != nil {
		return err
	}
	state, err := store.Open(ctx, dirs(cfg.Ident), req.Key(cfg.Name))
	if err != nil {
		return p.writeError(err)
	}
	defer closeState(state)
	prefer, err := replaceOlder(ctx, req, state)
	if err != nil {
		return err
	}
	var undo undo
	defer undo.onError(&err)
	undo.pushRelease("the record", state.Remove)
	record := newRecord(req, cfg, store.RoleIPAM)
	err = reserveDelegated(ctx, state, record, request(cfg, prefer, req))
	if !errors.Is(err, store.ErrBusy) { // with ErrBusy there is nothing to release
		after := toUndo(ctx)
		undo.pushRelease("the addresses", func() error { return state.Release(after) })
	}
	if err != nil {
		return p.writeError(err)
	}
	overrideGateways(record.Addresses, cfg.IPAM.Gateways)
	result := &types100.Result{CNIVersion: types100.ImplementedSpecVersion, DNS: cfg.DNS}
	fillAddresses(result, cfg, given{addresses: record.Addresses, to: -1})
	return PrintResult(out, result, cfg.CNIVersion)
}

// replaceOlder returns an error if this key already has reserved addresses. Without a host interface nothing shows whether they are in
// use: only DEL, also that of host-local, GC or a reboot releases them. If one of these happened, replaceOlder releases the
// rest and returns the addresses, which this ADD tries first.
func replaceOlder(ctx context.Context, req Request, state *store.Attachment) ([]netip.Addr, error) {
	r, broken := state.Record, state.Broken
	switch {
	case errors.Is(broken, store.ErrNewer):
		return nil, broken
	case r == nil && broken == nil:
		return nil, nil
	case r == nil:
		report.Warn("record %s: %v; replacing it", state.Path(), broken)
		return nil, releaseUnreadable(ctx, req, state)
	case liveness.IsFromOtherBoot(r, store.BootID()), store.Released(r):
		return r.Addrs(), state.Release(ctx)
	}
	return nil, fmt.Errorf("%w: container %s has %s reserved for %s", errAttached, req.ContainerID, store.Prefixes(r.Addresses), req.IfName)
}

// releaseUnreadable releases the addresses of the previous boot, one of which the damaged record may have had. If the key still has
// addresses it returns an error.
func releaseUnreadable(ctx context.Context, req Request, state *store.Attachment) error {
	_, err := store.ReclaimStale(ctx, state.Dirs(), state.Key.Network, 0)
	if err != nil {
		return err
	}
	held, err := state.HeldAddresses()
	if err == nil && len(held) > 0 {
		err = fmt.Errorf("%w: container %s has %s reserved for %s, and a record that cannot be read", errAttached, req.ContainerID, held, req.IfName)
	}
	return err
}

// reserveDelegated reserves addresses. If none is available, it releases those of stale attachments and tries again.
func reserveDelegated(ctx context.Context, state *store.Attachment, record *store.Record, req store.Request) error {
	err := state.Reserve(ctx, record, req)
	if !outOfAddresses(err) {
		return err
	}
	host, failed := link.OpenHost()
	if failed != nil {
		return errors.Join(err, failed)
	}
	defer host.Close()
	if !reclaim(ctx, host, state.Dirs(), record.Network) {
		return err
	}
	return state.Reserve(ctx, record, req)
}
