package attach

import (
	"errors"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

var errBridgeShared = errors.New("serves another network")

// bridgeIsFree refuses two networks on one bridge if one of them is isolated: they are one segment
// of layer 2, on which the containers of the other would reach its own. Both networks look, before
// anything is done and again when their records are there, so that one of two that come at once sees
// the other.
func (a *adding) bridgeIsFree() error {
	isolating, err := store.Isolating(config.DefaultStateDir, a.cfg.Bridge)
	if err != nil {
		return err
	}
	if isolating != "" && isolating != a.cfg.Name {
		key, err := a.onBridge(func(r *store.Record) bool { return r.Network == isolating && r.Policy == config.PolicyIsolated })
		if err != nil {
			return err
		}
		if key != (store.Key{}) {
			return fmt.Errorf("network %s cannot use bridge %s: it %w, %s, which is isolated (container %s)", a.cfg.Name, a.cfg.Bridge, errBridgeShared, isolating, key.ContainerID)
		}
	}
	if a.cfg.IngressPolicy != config.PolicyIsolated {
		return nil
	}
	if isolating != a.cfg.Name {
		if err := store.NoteIsolating(config.DefaultStateDir, a.cfg.Bridge, a.cfg.Name); err != nil {
			return err
		}
	}
	key, err := a.onBridge(func(r *store.Record) bool { return r.Network != a.cfg.Name })
	if err == nil && key != (store.Key{}) {
		err = fmt.Errorf("network %s cannot be isolated: bridge %s %w, %s (container %s)", a.cfg.Name, a.cfg.Bridge, errBridgeShared, key.Network, key.ContainerID)
	}
	return err
}

// onBridge finds an attachment to the bridge that is of some kind.
func (a *adding) onBridge(is func(*store.Record) bool) (store.Key, error) {
	all, err := listed(a.cfg.StateDir)
	if err != nil {
		return store.Key{}, err
	}
	j := newJudge(a.host)
	for _, e := range all {
		if r := e.Record; r != nil && r.Bridge == a.cfg.Bridge && is(r) && !j.dead(r) {
			return r.Key(), nil
		}
	}
	return store.Key{}, nil
}
