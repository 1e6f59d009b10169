package ruleset

import (
	"context"
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// LockMode says what a caller does under the lock.
type LockMode int

// The modes of Lock.
const (
	Shared    LockMode = iota // adds or removes elements of one attachment
	Exclusive                 // the same, while no other process does
	Build                     // builds or sweeps tables; unlike the others it fails if the lock file cannot be made
)

// Lock locks the ruleset of the host, whatever the state directory of a network: the lock file is in the default state directory
// or, where that cannot be written, in stateDir. If it cannot be made at all, no process can build, and Shared and Exclusive
// succeed without a lock. The error wraps store.ErrBusy if another process has held the lock all the time.
func Lock(ctx context.Context, stateDir string, mode LockMode) (unlock func(), err error) {
	lock, err := store.LockHost(ctx, config.DefaultStateDir, mode == Shared)
	if err != nil && !errors.Is(err, store.ErrBusy) && ctx.Err() == nil && stateDir != config.DefaultStateDir {
		lock, err = store.LockHost(ctx, stateDir, mode == Shared)
	}
	switch {
	case err == nil: // also if ctx has ended since
		return lock.Unlock, nil
	case mode == Build, errors.Is(err, store.ErrBusy), ctx.Err() != nil:
		return nil, err
	}
	return func() {}, nil
}

func withRules(do func(*nft.Ruleset) error) error {
	rules, err := nft.Open()
	if err != nil {
		return err
	}
	defer rules.Close()
	return do(rules)
}
