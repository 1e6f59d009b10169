package attach

import (
	"context"
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// sweepHost takes away what bridges have for attachments that are gone: in the ruleset, and in
// docker's chain. Where somebody is building just now, the next one will. It returns the bridges that
// docker lets through no more.
func sweepHost(ctx context.Context, host *link.Host, stateDir string) (disallowed []string, err error) {
	err = withRules(func(rules *nft.Ruleset) error {
		if has, err := anythingToSweep(rules); err != nil || !has {
			return err
		}
		lock, err := lockRules(ctx, stateDir, false)
		if err != nil {
			return ignore(err, store.ErrBusy)
		}
		defer lock.Unlock()
		living, err := entries(host, rules, stateDir)
		if err == nil {
			err = rules.SweepBridges(living)
		}
		var failed error
		disallowed, failed = disallow(stateDir)
		return errors.Join(err, failed)
	})
	return disallowed, ignore(err, nft.ErrUnsupported)
}

func anythingToSweep(rules *nft.Ruleset) (bool, error) {
	if err := rules.Supported(); err != nil {
		return false, err
	}
	has, err := rules.HasTable()
	if err != nil || has {
		return has, err
	}
	err = withFilters(func(filters *firewall.Filters) error {
		bridges, err := filters.Allowed()
		has = len(bridges) > 0
		return err
	})
	return has, err
}
