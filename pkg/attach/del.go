package attach

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Del takes everything of an attachment away: CNI SPEC.md section 4, DEL. It needs neither
// namespace nor prevResult nor a valid configuration, and what is gone already is no error. It
// fails only if something of this attachment still exists and another try could remove it.
func Del(ctx context.Context, req Request) error {
	id := req.identify()
	if id.Name == "" {
		id.Name = networkOf(req, id.StateDir)
	}
	if id.Name == "" {
		return nil // no name, no record: nothing that could be ours can be found
	}
	key := req.key(id.Name)
	var state *store.Attachment
	err := req.step("look", func() (err error) {
		state, err = store.OpenToRemove(ctx, dirs(id), key)
		return err
	})
	if err != nil {
		return err
	}
	defer closeState(state)
	host, err := link.OpenHost()
	if err != nil {
		return err
	}
	defer host.Close()
	r := &removal{key: key, names: namesOf(key), host: host, state: state, forget: true, bridge: config.BridgeLenient(req.Config), asked: &req, timed: &req}
	return r.run(ctx)
}

// networkOf finds the network in the records when the configuration does not tell it.
func networkOf(req Request, stateDir string) string {
	entries, _ := store.List(stateDir)
	for _, e := range entries {
		if e.Key.ContainerID == req.ContainerID && e.Key.IfName == req.IfName {
			return e.Key.Network
		}
	}
	return ""
}

// removal takes one attachment away, whose record is locked.
type removal struct {
	key    store.Key
	names  names
	host   *link.Host
	state  *store.Attachment
	forget bool // the record too; otherwise a new one will take its place

	unasked bool     // nobody called DEL: an address that may not be ours any more stays
	asked   *Request // what another IPAM plugin is told; nil for none, if unasked
	timed   *Request // whose steps these are; nil if they are part of another step
	bridge  string   // by the configuration, for when there is no record; "" for unknown

	since time.Time    // of a GC that found no record: what has changed since is somebody's
	found []netip.Addr // and the addresses that it found
}

// cable is the link that is the attachment's own.
func (r *removal) cable() link.Cable { return link.Cable{Name: r.names.hostLink, Mark: r.names.mark} }

// run goes on past errors. An address whose cable could not be removed is not freed: somebody
// else would get it while it is in use.
func (r *removal) run(ctx context.Context) error {
	switch {
	case r.state.Broken != nil && r.state.Record != nil:
		warn("record %s: %v; removing what is known of it, and what is found without it", r.state.Path(), r.state.Broken)
	case r.state.Broken != nil:
		warn("record %s: %v; removing what is found without it", r.state.Path(), r.state.Broken)
	}
	if err := r.timed.step("unplug", func() error { return r.clear(ctx) }); err != nil {
		return err
	}
	if err := r.timed.step("release", func() error { return r.release(ctx) }); err != nil {
		return err
	}
	if r.forget {
		return r.state.Forget()
	}
	return nil
}

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
	// Which of them are single addresses, with a route of the host to the bridge, only the
	// record told. No other route leads to one address of ours.
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

// held are the addresses of an attachment without a record.
func (r *removal) held() ([]netip.Addr, error) {
	if !r.since.IsZero() {
		return r.found, nil
	}
	return r.state.Held()
}

func (r *removal) unplug() error {
	record := r.state.Record
	err := r.unplugVeth(r.names.hostLink)
	if record == nil {
		return err
	}
	// After the machine-id changed, the record knows the name and the mark that were used.
	if record.Role == store.RolePort && record.HostLink != r.names.hostLink {
		err = errors.Join(err, r.unplugRecorded(record))
	}
	for _, addr := range record.HostRoutes {
		err = errors.Join(err, r.unroute(record.Bridge, addr))
	}
	// A link of that name after a reboot is not the one that was plugged in before.
	if record.Role == store.RoleChained && !newJudge(r.host).otherBoot(record) {
		err = errors.Join(err, r.host.ClearMaster(record.HostLink, record.HostIndex, record.Bridge), flushChained(record))
	}
	return err
}

// unroute takes the host's route to a single address away, unless it is that of who has the
// address now.
func (r *removal) unroute(bridge string, addr netip.Addr) error {
	ours, err := r.owns(addr)
	if err != nil || !ours {
		return err
	}
	return r.host.RemoveHostRoute(bridge, addr)
}

// unplugVeth leaves a link alone that has our name and somebody else's alias: of this
// attachment then nothing is there.
func (r *removal) unplugVeth(name string) error {
	err := r.host.Unplug(name, r.names.mark)
	if errors.Is(err, link.ErrForeign) {
		return nil
	}
	return err
}

func (r *removal) unplugRecorded(record *store.Record) error {
	if record.Alias == "" {
		return nil
	}
	err := r.host.Unplug(record.HostLink, record.Alias)
	if errors.Is(err, link.ErrForeign) {
		return nil
	}
	return err
}

// flushChained takes our addresses and routes off an interface that another plugin made, if
// the namespace is still there.
func flushChained(record *store.Record) error {
	if len(record.Addresses) == 0 {
		return nil
	}
	sandbox, err := link.OpenSandbox(record.Netns, false)
	if err != nil {
		return nil // gone, and the addresses with it
	}
	defer sandbox.Close()
	if sandbox.Cookie() != record.NetnsCookie {
		return nil
	}
	routes := make([]link.Route, 0, len(record.Routes))
	for _, r := range record.Routes {
		routes = append(routes, link.Route{Dst: r.Dst, GW: r.GW, Priority: r.Priority, Table: r.Table})
	}
	return errors.Join(
		sandbox.RemoveRoutes(record.IfName, routes),
		sandbox.Flush(record.IfName, prefixes(record.Addresses)),
	)
}
