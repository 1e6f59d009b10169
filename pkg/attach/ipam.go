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
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// addAddresses is ADD for another main plugin (macvlan, ptp, ...) whose ipam.type is ours:
// CNI SPEC.md section 4, delegated plugins. The result has addresses, routes and DNS and no
// interfaces.
func addAddresses(ctx context.Context, req Request, cfg *config.Config, out io.Writer) (err error) {
	state, err := store.Open(ctx, dirs(cfg.Ident), req.key(cfg.Name))
	if err != nil {
		return err
	}
	defer closeState(state)
	prefer, err := replaceOlder(ctx, req, state)
	if err != nil {
		return err
	}
	var undo undo
	defer undo.onError(&err)
	undo.push(func() error {
		return errors.Join(state.Release(context.WithoutCancel(ctx)), state.Forget())
	})
	record := newRecord(req, cfg, store.RoleIPAM)
	if err := reserveDelegated(ctx, state, record, request(cfg, prefer, req)); err != nil {
		return err
	}
	overrideGateways(record.Addresses, cfg.IPAM.Gateways)
	result := &types100.Result{CNIVersion: types100.ImplementedSpecVersion, DNS: cfg.DNS}
	fillAddresses(result, cfg, given{addresses: record.Addresses, to: -1})
	return printResult(out, result, cfg.CNIVersion)
}

// replaceOlder refuses an ADD for which addresses are reserved already. There is no link of
// ours that would tell whether they are in use: only their DEL, or GC, or a reboot frees them.
// After a reboot it frees them, and returns them to be given again.
func replaceOlder(ctx context.Context, req Request, state *store.Attachment) ([]netip.Addr, error) {
	r, broken := state.Record, state.Broken
	switch {
	case errors.Is(broken, store.ErrNewer):
		return nil, broken
	case r == nil && broken == nil:
		return nil, nil
	case r == nil:
		warn("record %s: %v; there will be a new one", state.Path(), broken)
		held, err := state.Held()
		if err == nil && len(held) > 0 {
			err = fmt.Errorf("%w: container %s has %s reserved for %s, and a record that cannot be read", errAttached, req.ContainerID, held, req.IfName)
		}
		return nil, err
	case (judge{boot: store.BootID()}).otherBoot(r):
		return addressesOf(r), state.Release(ctx)
	}
	return nil, fmt.Errorf("%w: container %s has %s reserved for %s", errAttached, req.ContainerID, prefixes(r.Addresses), req.IfName)
}

// reserveDelegated reserves, and when no address is free tries again without the dead.
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

// outOfAddresses reports whether an error would go away if somebody's address became free.
func outOfAddresses(err error) bool {
	return errors.Is(err, store.ErrExhausted) || errors.Is(err, store.ErrTaken)
}

// request is what the configuration asks of the pool.
func request(cfg *config.Config, prefer []netip.Addr, req Request) store.Request {
	r := store.Request{Pool: cfg.IPAM.Pool, Requested: cfg.IPAM.Requested, Prefer: prefer}
	if !cfg.IPAM.Sticky {
		return r
	}
	// A pod of a StatefulSet has a new container ID each time, but the same name.
	r.Sticky = req.ContainerID
	if cfg.Args.PodName != "" {
		r.Sticky = cfg.Args.PodNamespace + "/" + cfg.Args.PodName
	}
	return r
}
