package attach

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// reserve writes the record of what later steps create, with addresses if the built-in IPAM assigns them. A later call finds the
// record even if this process is killed at any time after.
func (a *adding) reserve(ctx context.Context) error {
	a.record = a.newRecord()
	if err := a.planSpoofCheck(); err != nil {
		return err
	}
	a.undoReserve(toUndo(ctx))
	if a.may != nil {
		a.may.mates.key = a.state.Key
		if err := a.noteOnBridge(); err != nil {
			return err
		}
	}
	if a.cfg.IPAM == nil { // no addresses, or the delegated IPAM plugin assigns them after plug
		return a.state.Save(a.record)
	}
	return a.reserveAddresses(ctx)
}

// undoReserve registers, before anything is written, how reserve and publish are undone: first the elements, then addresses and record.
func (a *adding) undoReserve(ctx context.Context) {
	a.undo.pushRelease("the record and the addresses in it", func() error { return a.release(ctx) })
	a.undo.push("elements of the nftables tables", func() error { return a.withdraw(ctx) })
}

func (a *adding) newRecord() *store.Record {
	r := newRecord(a.req, a.cfg, store.RolePort)
	if a.sandbox != nil { // else it does not exist yet: see Preview
		r.HostCookie, r.NetnsCookie = a.host.Cookie(), a.sandbox.Cookie()
		r.HostInode, r.NetnsInode = a.sandbox.HostInode(), a.sandbox.Inode()
	}
	r.Bridge, r.HostLink, r.Alias = a.cfg.Bridge, a.names.HostInterface, a.names.Alias
	r.BridgeMAC = bridgeMAC(a.bridge)
	r.Hairpin, r.Gateway = a.cfg.HairpinMode || a.reachesItself(), a.cfg.IsGateway
	r.Policy, r.STPGuard = policyOf(a.cfg), a.cfg.STPGuard
	r.FirewallAuto = a.cfg.Firewall == config.FirewallAuto
	r.VLANs, r.PortIsolation, r.Segment = vlansOf(a.cfg), a.cfg.PortIsolation, segmentOf(a.cfg)
	r.MAC = a.names.MAC.String()
	if a.cfg.MAC != nil {
		r.MAC = a.cfg.MAC.String()
	}
	r.Tap = tapOf(a.cfg.Tap)
	r.Bandwidth = Bandwidth(a.cfg.Bandwidth, a.names)
	if t := TuningOf(a.cfg.Tuning, a.req.IfName); !t.IsZero() {
		r.Tuning = &store.Tuning{Set: RecordedTuning(t)}
	}
	if a.ipam.delegates() {
		r.IPAMType, r.IPAM = a.cfg.IPAMType, store.IPAMPending
	}
	if a.chained != nil {
		r.Role, r.HostLink, r.HostIndex, r.MAC = store.RoleChained, a.chained.host.Name, a.chained.host.Index, ""
	}
	return r
}

// planSpoofCheck puts into the record what the frames of the attachment are compared with. An interface of another plugin cannot be
// checked if prevResult does not have its MAC, for example a tap whose guest chooses one: that is an error if the configuration has
// spoofCheck or egress, which needs it, and a warning if the check is only the default.
func (a *adding) planSpoofCheck() error {
	level := a.cfg.SpoofCheck.Level
	if level == config.SpoofNone {
		if a.cfg.SpoofCheck.Explicit {
			a.record.SpoofCheck = &store.SpoofCheck{}
		}
		return nil
	}
	mac := a.record.MAC
	if a.chained != nil {
		mac = a.chained.mac()
	}
	hardware, err := net.ParseMAC(mac)
	if err != nil || len(hardware) != 6 {
		if a.cfg.SpoofCheck.Explicit || a.cfg.Egress != nil {
			return errMACUnknown
		}
		report.Warn("network %s: the frames of %s are not checked for spoofed addresses: %v", a.cfg.Name, a.record.HostLink, errMACUnknown)
		return nil
	}
	a.record.SpoofCheck = &store.SpoofCheck{MAC: hardware.String(), Full: level == config.SpoofFull}
	return nil
}

// mac returns the MAC of the container interface in prevResult, or "" if there is none.
func (c *chainLink) mac() string {
	if c.container < 0 {
		return ""
	}
	return c.prev.Interfaces[c.container].Mac
}

// noteOnBridge writes a note that this network uses the bridge, with its subnets. ADDs of other networks read these notes instead of
// all records (see bridgeMates). If the bridge has no notes, its networks may be older than notes: they are noted first.
func (a *adding) noteOnBridge() error {
	note := a.bridgeNote()
	for _, known := range a.knownDirs() {
		if note.Noted(known, a.cfg.Segment()) {
			return nil
		}
	}
	if err := store.NoteStateDir(config.DefaultStateDir, a.cfg.StateDir); err != nil {
		report.Warn("%v; pass it to patchbay reload and patchbay gc with --state-dir", err)
	}
	notes, err := store.BridgeNotes(config.DefaultStateDir, a.cfg.Segment(), store.BridgeNote{})
	if err == nil && len(notes) == 0 {
		a.noteOlder()
	}
	err = store.NoteBridge(config.DefaultStateDir, a.cfg.Segment(), note)
	if err != nil && a.cfg.StateDir != config.DefaultStateDir {
		err = store.NoteBridge(a.cfg.StateDir, a.cfg.Segment(), note)
	}
	return err
}

// noteOlder writes notes for the networks of all records on the bridge. It only warns on an error: without a note, addresses of that
// network are not compared, as in versions without notes.
func (a *adding) noteOlder() {
	all, err := liveness.Records(a.cfg.StateDir)
	if err != nil {
		report.Warn("%v", err)
	}
	for _, e := range all {
		if e.Record == nil || e.Record.SegmentName() != a.cfg.Segment() {
			continue
		}
		stateDir := stateDirOf(e)
		note := store.BridgeNote{Network: e.Key.Network, StateDir: stateDir}
		if err := store.NoteBridge(config.DefaultStateDir, a.cfg.Segment(), note); err != nil {
			report.Warn("%v", err)
			return
		}
	}
}

// stateDirOf returns the state directory in which an entry was found.
func stateDirOf(e store.Entry) string { return filepath.Dir(filepath.Dir(e.Path)) }

// reserveAddresses reserves an address of every set of the pool. If an address turns out to be in use, it is excluded and the
// next one is tried; a requested address is an error instead.
func (a *adding) reserveAddresses(ctx context.Context) error {
	r := request(a.cfg, a.prefer, a.req)
	r.Complete = a.complete
	for {
		if err := a.reserveFree(ctx, r); err != nil {
			return err
		}
		found := a.conflicts()
		if len(found) == 0 {
			var err error
			if found, err = a.probeAddresses(ctx); err != nil || len(found) == 0 {
				return err
			}
		}
		for _, c := range found {
			if slices.Contains(r.Requested, c.addr) {
				return &store.RequestError{Addr: c.addr, Reason: c.why}
			}
			a.may.reserve(c.addr, c.why)
		}
		if err := a.state.Release(ctx); err != nil {
			return err
		}
	}
}

// reserveFree reserves addresses. If none is available, it releases those of stale attachments and tries again.
func (a *adding) reserveFree(ctx context.Context, r store.Request) error {
	err := a.state.Reserve(ctx, a.record, r)
	if outOfAddresses(err) && reclaim(ctx, a.host, dirs(a.cfg.Ident), a.cfg.Name) {
		err = a.state.Reserve(ctx, a.record, r)
	}
	a.reserved = !errors.Is(err, store.ErrBusy)
	return err
}

// conflicts looks for addresses that another network on the bridge has too. It runs after the record is saved: if two networks choose
// one address at the same time, at least one of them sees the record of the other.
func (a *adding) conflicts() (found []conflict) {
	a.may.mates.read = false
	for _, address := range a.record.Addresses {
		if why := a.may.mates.refuse(address.Address.Addr()); why != nil {
			found = append(found, conflict{address.Address.Addr(), why})
		}
	}
	return found
}

// withdraw deletes the elements of the attachment from the ruleset. It runs after the host interface is deleted: a concurrent rebuild of
// the ruleset adds elements for live attachments only. If the rebuild listed this one before, it has finished by the time that the
// lock is acquired, and its elements are deleted here.
func (a *adding) withdraw(ctx context.Context) error {
	if !ruleset.IsNeeded(a.record) || !a.published {
		return nil
	}
	unlock, err := ruleset.Lock(ctx, a.cfg.StateDir, ruleset.Shared)
	if err != nil {
		return err
	}
	defer unlock()
	return ruleset.Withdraw(a.record)
}

// release releases the addresses and then removes the record, as the last steps of undo. If Reserve could not lock the addresses,
// none are reserved, and there is no second wait for the same lock.
func (a *adding) release(ctx context.Context) error {
	if err := a.releaseDelegated(ctx); err != nil {
		return err
	}
	if !a.reserved {
		return a.state.Remove()
	}
	if err := a.state.Release(ctx); err != nil {
		return err
	}
	return a.state.Remove()
}

// releaseDelegated calls the delegated IPAM plugin with DEL, which CNI SPEC.md section 4 requires also after an ADD of that plugin
// failed. If the plugin itself reported that failure, an error of its DEL is only a warning: it has most likely reserved nothing.
func (a *adding) releaseDelegated(ctx context.Context) error {
	if !a.ipam.asked {
		return nil
	}
	plugin := *a.ipam.plugin
	plugin.Deadline = undoIPAM // the ADD may have taken twice that already
	_, err := plugin.Call(ctx, "DEL", a.req.Config)
	if err != nil && a.ipam.refused {
		report.Warn("%s", report.OneLine(err))
		return nil
	}
	return err
}
