package attach

import (
	"errors"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// checkTap returns an error if the tap cannot be created: the name is in use, or the host has no taps. A tap of an earlier attachment of this
// key is expected if that one is stale; without a sandbox, the network namespace does not exist yet.
func (a *adding) checkTap() error {
	if a.cfg.Tap == nil {
		return nil
	}
	if a.chained != nil {
		return &config.Error{
			Kind: config.Invalid, Msg: "tap: cannot be created for an interface that another plugin created",
			Details: "remove the key tap, or the plugin before this one",
		}
	}
	if a.cfg.Tap.Name == a.req.IfName {
		return &config.Error{Kind: config.Invalid, Msg: fmt.Sprintf("tap.name: %s is the container interface", a.req.IfName), Details: "choose another name"}
	}
	if err := link.CheckTun(); err != nil {
		return err
	}
	if a.sandbox == nil {
		return nil
	}
	l, err := a.sandbox.Link(a.cfg.Tap.Name)
	switch {
	case errors.Is(err, link.ErrNotFound):
		return nil
	case err != nil:
		return err
	case identity.MarkOf(l.Alias) == a.names.Mark:
		return nil // removeStale decides
	}
	return fmt.Errorf("tap %s: %w in %s", l.Name, errTapTaken, a.req.Netns)
}

// upTap creates the tap, joins it with the container interface, and sets that up, without addresses: the guest has them. Until a program
// opens the tap, frames to it are dropped.
func (a *adding) upTap() error {
	inside, err := a.sandbox.Link(a.req.IfName)
	if err != nil {
		return err
	}
	t := a.record.Tap
	// Registered before AddTap: it can fail after the kernel created the tap.
	a.undo.push("tap "+t.Name, func() error { return a.sandbox.RemoveTaps(a.names.Mark) })
	spec := link.Tap{Name: t.Name, Alias: a.names.Alias, Owner: t.Owner, Group: t.Group, MultiQueue: t.MultiQueue, MTU: inside.MTU, MAC: a.names.HostMAC}
	if err := a.sandbox.AddTap(spec); err != nil {
		return err
	}
	tap, err := a.sandbox.Link(t.Name)
	if err != nil {
		return err
	}
	if err := a.sandbox.Enter(func() error { return bandwidth.Join(Shaped(inside), Shaped(tap)) }); err != nil {
		return err
	}
	if inside, err = a.sandbox.UpBare(a.req.IfName); err != nil {
		return err
	}
	if err := a.host.WaitPort(a.names.HostInterface, a.bridge); err != nil {
		return err
	}
	return a.sandbox.AnnounceGuest(inside, store.Prefixes(a.record.Addresses))
}
