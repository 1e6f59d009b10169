package ruleset

import (
	"context"

	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// DeleteTables deletes both tables, for a host without attachments, and returns their names. With dryRun it changes nothing.
func DeleteTables(ctx context.Context, stateDir string, dryRun bool) (deleted []string, err error) {
	err = withRules(func(rules *nft.Ruleset) error {
		if deleted, err = rules.Tables(); err != nil || dryRun || len(deleted) == 0 {
			return err
		}
		unlock, err := Lock(ctx, stateDir, Exclusive)
		if err != nil {
			return err
		}
		defer unlock()
		deleted, err = rules.DeleteTables()
		return err
	})
	return deleted, err
}
