package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/config"
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
	if err := refuseSecond(req, state); err != nil {
		return err
	}
	var undo undo
	defer undo.onError(&err)
	undo.push(func() error {
		return errors.Join(state.Release(context.WithoutCancel(ctx)), state.Forget())
	})
	record := newRecord(req, cfg, store.RoleIPAM)
	if err := state.Reserve(ctx, record, request(cfg, nil, req)); err != nil {
		return err
	}
	overrideGateways(record.Addresses, cfg.IPAM.Gateways)
	result := &types100.Result{CNIVersion: types100.ImplementedSpecVersion, DNS: cfg.DNS}
	fillAddresses(result, cfg, given{addresses: record.Addresses, to: -1})
	return printResult(out, result, cfg.CNIVersion)
}

// refuseSecond refuses an ADD for which addresses are reserved already. There is no link of
// ours that would tell whether they are in use: only their DEL, or GC, frees them.
func refuseSecond(req Request, state *store.Attachment) error {
	if state.Record == nil {
		return nil
	}
	return fmt.Errorf("%w: container %s has %s reserved for %s", errAttached, req.ContainerID, prefixes(state.Record.Addresses), req.IfName)
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
