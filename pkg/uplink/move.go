package uplink

import (
	"fmt"
)

// Move creates the bridge, makes the uplink its port, and moves the state to it, in the order that the package comment
// describes. After an error, or if the process ends, Restore undoes what it did.
func (k *Kernel) Move(s *State) error {
	b, err := k.createBridge(s)
	if err != nil {
		return err
	}
	if err := copySettings(s.Uplink, s.Bridge); err != nil {
		return err
	}
	if err := holdSettings(s.Bridge); err != nil {
		return err
	}
	if err := k.finishBridge(s, b); err != nil {
		return err
	}
	if err := k.addAll(s.addressesOn(b.index, s.Bridge)); err != nil {
		return err
	}
	if err := k.setMaster(s, b.index); err != nil {
		return err
	}
	if err := k.awaitOperational(s.Bridge); err != nil {
		return err
	}
	return k.moveRoutes(s, b)
}

// moveRoutes moves routes and rules, and removes the addresses of the uplink.
func (k *Kernel) moveRoutes(s *State, b *device) error {
	advertised, others := split(s.routesOn(b.index), AcceptsAdvertisements(s.Uplink))
	if err := k.addRoutes(append(others, advertised...)); err != nil {
		return err
	}
	rules := make([]rule, 0, len(s.Rules))
	for _, r := range s.Rules {
		rules = append(rules, r.on(s.Uplink, s.Bridge))
	}
	if err := k.setRules(rules, s.Uplink, s.Bridge); err != nil {
		return err
	}
	if err := k.awaitLocal(b.index, s.addressesOn(b.index, s.Bridge)); err != nil {
		return err
	}
	if err := k.removeRoutes(s.Routes); err != nil {
		return err
	}
	if err := k.removeAll(s.Addresses); err != nil {
		return err
	}
	if err := releaseSettings(s.Uplink, s.Bridge); err != nil {
		return err
	}
	if err := k.learn(b.index, advertised); err != nil {
		return err
	}
	return k.complete(s, b)
}

// complete returns an error if the uplink still has something of its state.
func (k *Kernel) complete(s *State, b *device) error {
	now, err := k.routes(b.index)
	if err != nil {
		return err
	}
	if want := s.routesOn(b.index); len(now) < len(want) {
		return fmt.Errorf("bridge %s has %d of %d routes", s.Bridge, len(now), len(want))
	}
	return nil
}
