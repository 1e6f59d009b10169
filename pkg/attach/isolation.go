package attach

import (
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// isolate is bridgeIsFree, and notes an isolated network on the bridge before it looks for others. Every ADD checks twice, in look and
// again after its record is saved: if two networks come at the same time, at least one sees the other.
func (p *preflight) isolate() error {
	isolating, err := p.notIsolated()
	if err != nil || p.cfg.IngressPolicy != config.PolicyIsolated {
		return err
	}
	if isolating != p.cfg.Name {
		if err := store.NoteIsolated(config.DefaultStateDir, p.cfg.Bridge, p.cfg.Name); err != nil {
			return err
		}
	}
	return p.alone()
}

// Isolate checks what isolate checks, for a network whose main plugin is another one, or that a later plugin of its list isolates.
func Isolate(host *link.Host, id config.Ident, bridge, policy string) error {
	p := &preflight{cfg: &config.Config{Ident: id, Bridge: bridge, IngressPolicy: policy}, host: host}
	return p.isolate()
}

// notIsolated returns an error if another network on the bridge is isolated and has a live attachment. It returns the network that is
// noted as isolated.
func (p *preflight) notIsolated() (isolating string, err error) {
	isolating, err = store.IsolatedNetwork(config.DefaultStateDir, p.cfg.Bridge)
	if err != nil {
		return "", err
	}
	if isolating != "" && isolating != p.cfg.Name {
		key, err := p.onBridge(func(r *store.Record) bool { return r.Network == isolating && r.Policy == config.PolicyIsolated })
		if err != nil {
			return "", err
		}
		if key != (store.Key{}) {
			return "", fmt.Errorf("network %s cannot use bridge %s: it %w, %s, which is isolated (container %s)", p.cfg.Name, p.cfg.Bridge, errBridgeShared, isolating, key.ContainerID)
		}
	}
	return isolating, nil
}

// alone returns an error if another network has a live attachment on the bridge of an isolated network.
func (p *preflight) alone() error {
	key, err := p.onBridge(func(r *store.Record) bool { return r.Network != p.cfg.Name })
	if err == nil && key != (store.Key{}) {
		err = fmt.Errorf("network %s cannot be isolated: bridge %s %w, %s (container %s)", p.cfg.Name, p.cfg.Bridge, errBridgeShared, key.Network, key.ContainerID)
	}
	return err
}

// onBridge returns the key of a live attachment on the bridge for which is returns true, or the zero Key.
func (p *preflight) onBridge(is func(*store.Record) bool) (store.Key, error) {
	all, err := liveness.Records(p.cfg.StateDir)
	if err != nil {
		return store.Key{}, err
	}
	checker := liveness.New(p.host)
	for _, e := range all {
		if r := e.Record; r != nil && r.Bridge == p.cfg.Bridge && is(r) && !checker.IsStale(r) {
			return r.Key(), nil
		}
	}
	return store.Key{}, nil
}
