package ruleset

import (
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Script returns what Publish would add to the ruleset of this host for the record of an attachment, in the syntax of nft(8). It changes
// nothing.
func Script(record *store.Record) (s nft.Script, err error) {
	if !IsNeeded(record) {
		return nft.Script{}, nil
	}
	err = withRules(func(rules *nft.Ruleset) (err error) {
		s, err = rules.Script(entryOf(record))
		return err
	})
	return s, err
}

// WithdrawScript returns what Withdraw would remove from the ruleset, in the syntax of nft(8). It changes nothing.
func WithdrawScript(record *store.Record) (text string, err error) {
	if !IsNeeded(record) {
		return "", nil
	}
	err = withRules(func(rules *nft.Ruleset) (err error) {
		text, err = rules.WithdrawScript(entryOf(record))
		return err
	})
	return text, report.Except(err, nft.ErrUnsupported)
}

// WholeScript returns what Publish adds for a record on a host without tables.
func WholeScript(record *store.Record) (nft.Script, error) {
	if !IsNeeded(record) {
		return nft.Script{}, nil
	}
	return nft.ScriptOf(entryOf(record))
}
