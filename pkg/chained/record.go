package chained

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// dirsOf returns the directories of an attachment. A chained plugin usually does not have the key stateDir of its main plugin, so the
// record is looked for in all state directories of the host.
func dirsOf(id config.Ident, key store.Key) store.Dirs {
	dirs := store.Dirs{State: id.StateDir, Data: id.DataDir, Shared: id.SharedDir()}
	if store.HasRecord(id.StateDir, key) {
		return dirs
	}
	for _, other := range store.StateDirs(config.DefaultStateDir) {
		if other != id.StateDir && store.HasRecord(other, key) {
			return store.Dirs{State: other, Data: filepath.Join(other, "ipam"), Shared: dirs.Shared}
		}
	}
	return dirs
}

// openRecord locks the record and decides which one the part extends.
func (a *adding) openRecord(ctx context.Context) error {
	key := a.req.Key(a.cfg.Name)
	dirs := dirsOf(a.cfg.Ident, key)
	for range 3 {
		state, err := store.Open(ctx, dirs, key)
		if err != nil {
			return err
		}
		a.state = state
		if state.Broken == nil && (state.Record == nil || a.isOfThisCall(state.Record)) {
			a.before = state.Record
			a.record = a.extended()
			return nil
		}
		if err := a.replaceStale(ctx, dirs); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: record of %s", store.ErrBusy, key)
}

// isOfThisCall reports whether a record is of the attachment to which this ADD belongs: the main plugin has written it, or a plugin
// between that and this one. It must be of the same network namespace, and of the interface that is there now.
func (a *adding) isOfThisCall(r *store.Record) bool {
	checker := liveness.New(a.host)
	switch {
	case r == nil || checker.OtherBoot(r):
		return false
	case r.Role == store.RoleIPAM:
		return r.Netns == a.req.Netns
	case r.NetnsCookie != a.sandbox.Cookie() || r.NetnsCookie == 0 && r.Netns != a.req.Netns:
		return false
	case r.HostLink == "":
		return a.ends.host == nil
	}
	l, err := checker.HostInterface(r)
	if r.Role == store.RoleChained && a.ends.host == nil { // a tap
		return err == nil
	}
	return err == nil && a.ends.host != nil && l.Index == a.ends.host.Index
}

// replaceStale removes what an earlier attachment of this key has left. A live one in another namespace is an error.
func (a *adding) replaceStale(ctx context.Context, dirs store.Dirs) error {
	r, broken := a.state.Record, a.state.Broken
	if errors.Is(broken, store.ErrNewer) {
		return broken
	}
	checker := liveness.New(a.host)
	if broken == nil && !checker.IsStale(r) {
		return fmt.Errorf("%w: container %s is attached to network %s in %s, not in %s", attach.ErrIDInUse, a.req.ContainerID, a.cfg.Name, r.Netns, a.req.Netns)
	}
	if broken != nil {
		report.Warn("record %s: %v; replacing it", a.state.Path(), broken)
		return a.state.Remove()
	}
	key := a.state.Key
	_ = a.state.Close()
	a.state = nil
	_, err := attach.RemoveStale(ctx, checker, dirs, key)
	return err
}

// extended returns a copy of the record, or a new one if the main plugin has none. A record of addresses alone becomes one of an
// interface that another plugin created.
func (a *adding) extended() *store.Record {
	var r store.Record
	if a.before != nil {
		r = *a.before
		r.Parts = slices.Clone(r.Parts)
	}
	r.Version = store.RecordVersion()
	if a.before != nil && r.Role != store.RoleIPAM {
		return &r
	}
	if a.before == nil {
		r.Network, r.ContainerID, r.IfName = a.cfg.Name, a.req.ContainerID, a.req.IfName
		r.Owner, r.Created, r.BootID = a.req.OwnerName(), time.Now().UTC(), store.BootID()
		r.Addresses = addressesIn(a.cfg.PrevResult, a.req.IfName)
		r.Pod = podOf(a.req.Args)
	}
	r.Role, r.Netns, r.Alias = store.RolePart, a.req.Netns, a.names.Alias
	r.HostCookie, r.NetnsCookie = a.host.Cookie(), a.sandbox.Cookie()
	r.HostInode, r.NetnsInode = a.sandbox.HostInode(), a.sandbox.Inode()
	r.MAC, r.Bridge = macOf(a.ends.inside), a.ends.via
	if a.ends.host != nil {
		r.HostLink, r.HostIndex = a.ends.host.Name, a.ends.host.Index
	}
	return &r
}

func macOf(l *link.Link) string {
	if l.MAC == nil {
		return ""
	}
	return l.MAC.String()
}

// podOf returns the pod that CNI_ARGS name, nil if they name none.
func podOf(text string) *store.Pod {
	args, err := config.ParseArgs(text)
	if err != nil || args.PodName == "" {
		return nil
	}
	return &store.Pod{Namespace: args.PodNamespace, Name: args.PodName, UID: args.PodUID}
}

// isOurs reports whether Patchbay is the main plugin of the list, so that its record is what the container has.
func (a *adding) isOurs() bool {
	return a.record.Role == store.RolePort || a.record.Role == store.RoleChained
}

// has reports whether the record was extended by this plugin before: an ADD that is repeated.
func (a *adding) has() bool { return a.before != nil && a.before.HasPart(a.plugin.name) }

// note marks the record as extended.
func (a *adding) note(parts ...string) {
	for _, p := range append([]string{a.plugin.name}, parts...) {
		if !a.record.HasPart(p) {
			a.record.Parts = append(a.record.Parts, p)
		}
	}
}

// alone returns a record with the identity of another one and nothing else: what a part adds to it, and no other, is published and
// withdrawn.
func alone(r *store.Record) *store.Record {
	return &store.Record{
		Version: r.Version, Network: r.Network, ContainerID: r.ContainerID, IfName: r.IfName, Owner: r.Owner, Role: r.Role, Created: r.Created,
		BootID: r.BootID, Netns: r.Netns, NetnsCookie: r.NetnsCookie, Bridge: r.Bridge, HostLink: r.HostLink, HostIndex: r.HostIndex,
		Alias: r.Alias, MAC: r.MAC, Addresses: r.Addresses, Gateway: r.Gateway, Segment: r.Segment, VLANs: r.VLANs,
	}
}
