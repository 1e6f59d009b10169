package chained

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/names"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// tuning sets sysctls of the container and properties of its interface, as the record's Tuning says.
func tuning() part {
	return part{
		parse: config.ParseTuning,
		wanted: func(cfg *config.Chained) bool {
			return !cfg.Tuning.IsZero() || cfg.MAC != nil || cfg.MTU != 0
		},
		plan:      planTuning,
		apply:     applyTuning,
		remove:    removeTuning,
		reference: forgetReferenceTuning,
		clear:     func(r *store.Record) { r.Tuning = nil },
		check:     checkTuning,
		status:    func(cfg *config.Chained, _ *link.Host) error { return attach.CheckSysctlsAllowed(cfg.Tuning) },
	}
}

// wantedTuning returns the settings of the configuration.
func wantedTuning(cfg *config.Chained, ifName string) link.Tuning {
	want := attach.TuningOf(cfg.Tuning, ifName)
	want.MAC, want.MTU = cfg.MAC, cfg.MTU
	return want
}

// planTuning reads the values that are there, which DEL restores, and puts both into the record. The interface of our own bridge
// is deleted: nothing is restored on it.
func planTuning(a *adding) error {
	if err := attach.CheckSysctlsAllowed(a.cfg.Tuning); err != nil {
		return err
	}
	want := wantedTuning(a.cfg, a.req.IfName)
	set := attach.RecordedTuning(want)
	if by := a.record.Tuning; by != nil && !a.record.HasPart(names.Tuning) {
		if reflect.DeepEqual(by.Set, set) {
			return errDone
		}
		a.req.Warn("tuning: the main plugin of this list has set sysctls or properties of %s too; those of tuning take precedence", a.req.IfName)
		set = both(by.Set, set)
	}
	was, err := a.sandbox.Tuned(a.req.IfName, want)
	if err != nil {
		return err
	}
	a.record.Tuning = &store.Tuning{Set: set}
	a.note()
	switch {
	case a.has() && a.before.Tuning != nil:
		a.record.Tuning.Was = a.before.Tuning.Was // an ADD that is repeated: not the values of the first one
	case a.record.Role != store.RolePort:
		restored := attach.RecordedTuning(attach.OfInterface(was, a.cfg.Tuning, a.req.IfName))
		a.record.Tuning.Was = &restored
	}
	return nil
}

// both returns the settings of two plugins, of which the later one takes precedence.
func both(by, set store.TuningValues) store.TuningValues {
	for _, s := range by.Sysctls {
		if !slices.ContainsFunc(set.Sysctls, func(other store.Sysctl) bool { return other.Name == s.Name }) {
			set.Sysctls = append(set.Sysctls, s)
		}
	}
	for _, flag := range []struct{ to, from **bool }{{&set.Promisc, &by.Promisc}, {&set.AllMulti, &by.AllMulti}} {
		if *flag.to == nil {
			*flag.to = *flag.from
		}
	}
	if set.TxQLen == nil {
		set.TxQLen = by.TxQLen
	}
	return set
}

// applyTuning sets the values. A sysctl may have another form in the kernel, with which CHECK compares.
func applyTuning(ctx context.Context, a *adding) error {
	has, err := a.sandbox.Tune(a.req.IfName, wantedTuning(a.cfg, a.req.IfName))
	if err != nil {
		return err
	}
	for _, s := range has.Sysctls {
		for i := range a.record.Tuning.Set.Sysctls {
			if set := &a.record.Tuning.Set.Sysctls[i]; set.Name == s.Name && !link.SameValue(set.Value, s.Value) {
				set.Kernel = s.Value
			}
		}
	}
	if a.cfg.MAC == nil {
		return a.state.Save(a.record)
	}
	return a.changedMAC(ctx)
}

// changedMAC corrects what depends on the MAC of the container interface: the result, and the source address of frames that the spoof
// check lets pass.
func (a *adding) changedMAC(ctx context.Context) error {
	old := spoofAlone(a.record)
	if a.record.MAC != "" { // "" of a tap
		a.record.MAC = a.cfg.MAC.String()
	}
	if check := a.record.SpoofCheck; check != nil && check.MAC != "" {
		changed := *check
		changed.MAC = a.cfg.MAC.String()
		a.record.SpoofCheck = &changed
	}
	if err := a.state.Save(a.record); err != nil {
		return err
	}
	if only := spoofAlone(a.record); only.SpoofCheck != nil && !reflect.DeepEqual(old.SpoofCheck, only.SpoofCheck) {
		if err := a.openRules(); err != nil {
			return err
		}
		r := &removing{state: a.state}
		if err := errors.Join(r.withdraw(ctx, old), a.publish(ctx, only)); err != nil {
			return err
		}
	}
	return a.setMAC(a.cfg.MAC.String())
}

// spoofAlone returns the spoof check of a record and nothing else.
func spoofAlone(r *store.Record) *store.Record {
	only := alone(r)
	only.SpoofCheck = r.SpoofCheck
	return only
}

// removeTuning restores the values before. It fails if another attempt may restore them. What the kernel refuses every time is a warning: the
// main plugin usually deletes the interface next.
func removeTuning(_ context.Context, r *removing) error {
	if r.record.Tuning == nil || r.record.Tuning.Was == nil {
		return nil
	}
	err := r.inside(func(s *link.Sandbox) error {
		return s.Restore(r.record.IfName, attach.TuningOfRecord(*r.record.Tuning.Was))
	})
	if err == nil || !isRefusedForGood(err) {
		return err
	}
	report.Warn("tuning: %s", report.OneLine(err))
	return nil
}

// isRefusedForGood reports whether a value cannot be set: it is not valid any more, or it is read-only here.
func isRefusedForGood(err error) bool {
	for _, errno := range []error{syscall.EINVAL, syscall.EPERM, syscall.EACCES, syscall.EROFS, syscall.EOPNOTSUPP} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// referenceTuningDir is where the reference plugin tuning keeps the values that its DEL restores, unless its key dataDir says otherwise.
const referenceTuningDir = "/run/cni/tuning"

// forgetReferenceTuning deletes the file of the reference plugin tuning. Its values are not restored: the main plugin deletes the interface.
func forgetReferenceTuning(r *removing) error {
	err := os.Remove(filepath.Join(referenceTuningDir, r.req.ContainerID+"_"+r.req.IfName+".json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete the file of the reference plugin tuning: %w", err)
	}
	return nil
}

// checkTuning compares the settings with the kernel.
func checkTuning(c *checking) error {
	want := wantedTuning(c.cfg, c.req.IfName)
	if c.record.Tuning == nil {
		c.differ("the attachment was made without the settings of tuning")
		return nil
	}
	for i, s := range want.Sysctls {
		for _, set := range c.record.Tuning.Set.Sysctls {
			if set.Kernel != "" && set.Name == s.Name && set.Value == s.Value {
				want.Sysctls[i].Value = set.Kernel
			}
		}
	}
	now, err := c.sandbox.Tuned(c.req.IfName, want)
	if errors.As(err, new(*link.TuneError)) || errors.Is(err, link.ErrNotFound) {
		c.differ("%v", err)
		return nil
	}
	for _, difference := range want.Differences(c.req.IfName, now) {
		c.differ("in the container %s", difference)
	}
	return err
}
