package uplink

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Restore gives the uplink a state again, and deletes the bridge if Move created it. It continues after errors, and
// returns all of them.
func (k *Kernel) Restore(s *State) error {
	b, err := k.link(s.Bridge)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err == nil && !b.made() {
		return fmt.Errorf("%s: %w", s.Bridge, ErrForeign)
	}
	l, err := k.link(s.Uplink)
	if err == nil && l.index != s.Index {
		err = fmt.Errorf("%s is another interface than before: %w", s.Uplink, ErrNotFound)
	}
	if err != nil {
		return errors.Join(err, k.deleteBridge(s.Bridge)) // the uplink was removed
	}
	failed := []error{k.restoreAddresses(s)}
	if b != nil && l.master == b.index {
		failed = append(failed, k.setMaster(s, 0))
	}
	advertised, others := split(s.routesOn(s.Index), AcceptsAdvertisements(s.Uplink))
	advertised = k.missing(s, advertised)
	failed = append(failed, k.addRoutes(append(others, advertised...)), k.setRules(s.Rules, s.Uplink, s.Bridge), k.deleteBridge(s.Bridge),
		k.learn(s.Index, advertised))
	err = errors.Join(failed...)
	if lines, look := k.Differs(s); err == nil && (look != nil || len(lines) > 0) {
		err = errors.Join(look, fmt.Errorf("%s lacks %s", s.Uplink, strings.Join(lines, ", ")))
	}
	return err
}

// missing returns those of the routes of routers that the uplink has lost.
func (k *Kernel) missing(s *State, fallback []route) []route {
	now, err := k.routes(s.Index)
	if err != nil {
		return fallback
	}
	return slices.DeleteFunc(fallback, func(r route) bool {
		return slices.ContainsFunc(now, func(b route) bool { return b.fallback().String() == r.String() })
	})
}

// restoreAddresses gives the uplink its addresses in their order. If some are missing, the others are removed and
// added again: the kernel lists addresses in the order in which they were added. The bridge still has
// them.
func (k *Kernel) restoreAddresses(s *State) error {
	now, err := k.addresses(s.Index)
	if err != nil {
		return err
	}
	want := s.addressesOn(s.Index, s.Uplink)
	present := slices.DeleteFunc(now, func(a address) bool {
		return !slices.ContainsFunc(want, func(b address) bool { return a.prefix() == b.prefix() })
	})
	if slices.EqualFunc(present, want, func(a, b address) bool {
		return a.prefix() == b.prefix() && (a.flags()^b.flags())&settable == 0
	}) {
		return nil
	}
	if err := k.removeAll(present); err != nil && !errors.Is(err, unix.ENODEV) {
		return err
	}
	if err := k.addAll(want); err != nil {
		return err
	}
	return k.awaitLocal(s.Index, want)
}
