package attach

import (
	"context"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// sweepHost takes away what bridges have in the ruleset for attachments that are gone. Where
// somebody is building just now, the next one will.
func sweepHost(ctx context.Context, host *link.Host, stateDir string) error {
	err := withRules(func(rules *nft.Ruleset) error {
		if has, err := rules.HasTable(); err != nil || !has {
			return nil
		}
		lock, err := lockRules(ctx, stateDir, false)
		if err != nil {
			return ignore(err, store.ErrBusy)
		}
		defer lock.Unlock()
		living, err := entries(host, rules, stateDir)
		if err != nil {
			return err
		}
		return rules.SweepBridges(living)
	})
	return ignore(err, nft.ErrUnsupported)
}
