package attach

import (
	"context"
	"net/netip"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Del removes an attachment: CNI SPEC.md section 4, DEL. It needs neither network namespace nor prevResult nor a valid
// configuration, and objects that no longer exist are no error. It fails only if a part of the attachment still exists that another
// DEL could remove: runtimes repeat a failed DEL, and keep the pod until it succeeds.
func Del(ctx context.Context, req Request) error {
	ctx = Within(ctx)
	host, err := OpenHost(ctx)
	if err != nil {
		return err
	}
	defer host.Close()
	r, err := req.removal(ctx, host)
	if err != nil || r == nil {
		return err
	}
	defer closeState(r.state)
	return r.run(ctx)
}

// removal locks the record of the request's attachment. It returns nil if the network is unknown: record, interface and addresses are
// found by its name.
func (req *Request) removal(ctx context.Context, host *link.Host) (*removal, error) {
	id := req.identify()
	if id.Name == "" {
		id.Name = networkOf(*req, id.StateDir)
	}
	if id.Name == "" {
		return nil, nil
	}
	key := req.Key(id.Name)
	var state *store.Attachment
	err := req.Step("look", func() (err error) {
		state, err = store.OpenToRemove(ctx, dirs(id), key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &removal{key: key, names: identity.Of(key), host: host, state: state, forget: true, bridge: config.BridgeLenient(req.Config), asked: req, timed: req}, nil
}

// networkOf finds the network in the records if the configuration has no name.
func networkOf(req Request, stateDir string) string {
	entries, _ := store.List(stateDir)
	for _, e := range entries {
		if e.Key.ContainerID == req.ContainerID && e.Key.IfName == req.IfName {
			return e.Key.Network
		}
	}
	return ""
}

// removal removes one attachment. Its caller holds the lock of the record.
type removal struct {
	key    store.Key
	names  identity.Names
	host   *link.Host
	state  *store.Attachment
	forget bool // remove the record too; if false, a new attachment replaces it

	batch bool // the caller retires gateways after removing many attachments

	aliases *liveness.Aliases // those that the caller has read; nil to read them if necessary
	renamed string            // the present name of the host interface, if it was renamed

	unasked bool     // no DEL was called: keep an address that another container may have by now
	asked   *Request // the request to pass to a delegated IPAM plugin; nil if unasked
	timed   *Request // the request whose steps are timed; nil if this is part of another step
	bridge  string   // of the configuration, used without a record; "" if unknown

	since time.Time    // start of a GC that found no record: address files that changed later belong to a new ADD
	found []netip.Addr // by that GC, in the address files
}

// vethPair returns the names and the mark of the host interface and the ifb device that were derived for this attachment.
func (r *removal) vethPair() link.HostInterface {
	return link.HostInterface{Name: r.names.HostInterface, Mark: r.names.Mark, IFB: r.ifb()}
}

// run removes interface and rules, then releases the addresses, then removes gateways and record. It stops before the addresses if
// the interface could not be removed: another container would get an address that is in use.
func (r *removal) run(ctx context.Context) error {
	switch {
	case r.state.Broken != nil && r.state.Record != nil:
		report.Warn("record %s: %v; removing what is known of it, and what is found without it", r.state.Path(), r.state.Broken)
	case r.state.Broken != nil:
		report.Warn("record %s: %v; removing what is found without it", r.state.Path(), r.state.Broken)
	}
	if err := r.timed.Step("unplug", func() error { return r.removeFromKernel(ctx) }); err != nil {
		return err
	}
	if err := r.timed.Step("release", func() error { return r.release(ctx) }); err != nil {
		return err
	}
	if !r.forget {
		return nil
	}
	record := r.state.Record
	others := !r.batch && r.retireGateways(ctx, record)
	if err := r.state.Remove(); err != nil || !others {
		return err
	}
	// Two last attachments that are removed at once count each other as users before: the later one finds no other record now.
	r.retireGateways(ctx, record)
	return nil
}
