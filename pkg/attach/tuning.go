package attach

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// maxAllowList is the maximum size of the allow list of sysctls, in bytes.
const maxAllowList = 64 << 10

// CheckSysctlsAllowed returns an error unless the allow list of the host, if there is one, allows the sysctls. An error of the list
// itself is an error too: without it every sysctl would be allowed.
func CheckSysctlsAllowed(t config.Tuning) error {
	if len(t.Sysctls) == 0 {
		return nil
	}
	list, err := safefile.Read(config.SysctlAllowList, safefile.Rules{FollowLinks: true, MaxBytes: maxAllowList})
	if errors.Is(err, os.ErrNotExist) {
		if _, found := os.Lstat(config.SysctlAllowList); errors.Is(found, os.ErrNotExist) {
			return nil
		} // else it is a symbolic link to a file that does not exist
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errAllowList, err)
	}
	return t.CheckAllowed(list)
}

// sysctlsAllowed is the check of preflight.
func (p *preflight) sysctlsAllowed() error { return CheckSysctlsAllowed(p.cfg.Tuning) }

// TuningOf returns the settings of a configuration for an interface.
func TuningOf(t config.Tuning, ifname string) link.Tuning {
	out := link.Tuning{AllMulti: t.AllMulti, TxQLen: t.TxQLen}
	for _, s := range t.Sysctls {
		out.Sysctls = append(out.Sysctls, link.Sysctl{Name: s.Name(ifname), Value: s.Value})
	}
	if t.Promisc { // false leaves it as it is, as with the reference
		out.Promisc = &t.Promisc
	}
	return out
}

// RecordedTuning returns settings in the format of a record.
func RecordedTuning(t link.Tuning) store.TuningValues {
	out := store.TuningValues{MTU: t.MTU, Promisc: t.Promisc, AllMulti: t.AllMulti, TxQLen: t.TxQLen}
	if t.MAC != nil {
		out.MAC = t.MAC.String()
	}
	for _, s := range t.Sysctls {
		out.Sysctls = append(out.Sysctls, store.Sysctl{Name: s.Name, Value: s.Value})
	}
	return out
}

// TuningOfRecord returns the settings of a record, the reverse of RecordedTuning.
func TuningOfRecord(v store.TuningValues) link.Tuning {
	out := link.Tuning{MTU: v.MTU, Promisc: v.Promisc, AllMulti: v.AllMulti, TxQLen: v.TxQLen}
	out.MAC, _ = net.ParseMAC(v.MAC)
	for _, s := range v.Sysctls {
		out.Sysctls = append(out.Sysctls, link.Sysctl{Name: s.Name, Value: s.Value})
	}
	return out
}

// OfInterface returns the settings without the sysctls that are not of one interface. DEL restores what is left: the other sysctls
// belong to all networks of the container.
func OfInterface(was link.Tuning, t config.Tuning, ifname string) link.Tuning {
	own := map[string]bool{}
	for _, s := range t.Sysctls {
		own[s.Name(ifname)] = s.OfInterface()
	}
	out := was
	out.Sysctls = nil
	for _, s := range was.Sysctls {
		if own[s.Name] {
			out.Sysctls = append(out.Sysctls, s)
		}
	}
	return out
}

// tune sets sysctls and the settings of the container interface, after ADD's own: the keys have the last word, as those of a plugin
// that follows in the list. The values before are read first, so that nothing has changed if a sysctl does not exist.
func (a *adding) tune() error {
	want := TuningOf(a.cfg.Tuning, a.req.IfName)
	if want.IsZero() {
		return nil
	}
	was, err := a.sandbox.Tuned(a.req.IfName, want)
	if err != nil {
		return err
	}
	if a.chained != nil {
		restored := RecordedTuning(OfInterface(was, a.cfg.Tuning, a.req.IfName))
		a.record.Tuning.Was = &restored
		if err := a.state.Save(a.record); err != nil {
			return err
		}
	}
	a.undo.push("settings of "+a.req.IfName, func() error { return a.sandbox.Restore(a.req.IfName, was) })
	has, err := a.sandbox.Tune(a.req.IfName, want)
	if err != nil {
		return err
	}
	return a.noteKernelForms(has.Sysctls)
}

// noteKernelForms saves the values that the kernel has changed: CHECK compares with them.
func (a *adding) noteKernelForms(has []link.Sysctl) error {
	changed := false
	for i, s := range has {
		set := &a.record.Tuning.Set.Sysctls[i]
		if !link.SameValue(set.Value, s.Value) {
			a.req.Warn("%s of the container is %q after %q was written", s.Dotted(), s.Value, set.Value)
			set.Kernel, changed = s.Value, true
		}
	}
	if !changed {
		return nil
	}
	return a.state.Save(a.record)
}

// checkInside returns an error if the configuration asks for settings of a container interface that prevResult does not name: that of
// a virtual machine, whose tap has no interface in the container.
func (a *adding) checkInside() error {
	if a.chained == nil || a.chained.container >= 0 {
		return nil
	}
	key := ""
	switch {
	case a.cfg.SBR != nil:
		key = "sbr"
	case a.cfg.Tuning.NeedsInterface():
		key = "sysctl, promisc, allmulti, txQLen"
	default:
		return nil
	}
	return &config.Error{
		Kind: config.Invalid, Msg: fmt.Sprintf("%s: prevResult has no interface %s in the container", key, a.req.IfName),
		Details: "remove the key, or put it behind a plugin whose result has the interface",
	}
}
