package ruleset

import (
	"context"
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// SweepNetwork removes the chains of a network that nothing jumps to any more, because its settings have changed. While another
// process builds the table it does nothing: the next GC removes them.
func SweepNetwork(ctx context.Context, stateDir, network string) error {
	err := withRules(func(rules *nft.Ruleset) error {
		if has, err := rules.HasTable(); err != nil || !has {
			return nil
		}
		unlock, err := Lock(ctx, stateDir, Build)
		if err != nil {
			return report.Except(err, store.ErrBusy)
		}
		defer unlock()
		return rules.Sweep(network)
	})
	return report.Except(err, nft.ErrUnsupported)
}

// SweepHost removes what bridges have for attachments that do not exist any more, from the table and from the chain of docker.
// While another process builds the table it does nothing. It returns the bridges whose rules it removed from docker's chain.
func SweepHost(ctx context.Context, host *link.Host, stateDir string) (disallowed []string, err error) {
	err = withRules(func(rules *nft.Ruleset) error {
		if has, err := anythingToSweep(rules); err != nil || !has {
			return err
		}
		unlock, err := Lock(ctx, stateDir, Build)
		if err != nil {
			return report.Except(err, store.ErrBusy)
		}
		defer unlock()
		live, err := entries(host, rules, stateDir)
		if err == nil {
			err = rules.SweepBridges(live)
		}
		var failed error
		disallowed, failed = disallow(stateDir)
		return errors.Join(err, failed)
	})
	return disallowed, report.Except(err, nft.ErrUnsupported)
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
