package attach

import (
	"context"
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/conntrack"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// withRules lets something be done with the host's ruleset.
func withRules(do func(*nft.Ruleset) error) error {
	rules, err := nft.Open()
	if err != nil {
		return err
	}
	defer rules.Close()
	return do(rules)
}

// withdraw takes out of the ruleset what an attachment has there. Without nf_tables nobody has anything.
func withdraw(record *store.Record) error {
	err := withRules(func(rules *nft.Ruleset) error { return rules.Withdraw(entryOf(record)) })
	if err == nil {
		flush(context.Background(), record, conntrack.FlushOwn) // it has its own deadline
	}
	return ignore(err, nft.ErrUnsupported)
}

// withdrawMark is withdraw for when there is no record to tell the addresses.
func withdrawMark(mark string) error {
	var led []nft.Port
	err := withRules(func(rules *nft.Ruleset) (err error) {
		led, err = rules.WithdrawOwner(mark)
		return err
	})
	end(context.Background(), mark, mappingsOf(led), conntrack.FlushOwn)
	return ignore(err, nft.ErrUnsupported)
}

// clear takes cable and elements away, both at once: each is a wait for the kernel. The builders'
// lock is held until both are gone, because who lists the living while only the elements are would
// put them back.
func (r *removal) clear(ctx context.Context) error {
	record, newer := r.state.Record, errors.Is(r.state.Broken, store.ErrNewer)
	if record == nil && !newer {
		return errors.Join(r.unplug(), withdrawMark(r.names.mark))
	}
	if !newer && !inRules(record) {
		return r.unplug()
	}
	unlock, err := holdRules(ctx, r.state.Dirs().State)
	if err != nil {
		return err
	}
	defer unlock()
	withdrawn := make(chan error, 1)
	go func() { withdrawn <- r.withdraw() }()
	err = r.unplug()
	return errors.Join(err, <-withdrawn)
}

// withdraw goes by the record and, where that does not tell all, by the mark.
func (r *removal) withdraw() (err error) {
	record := r.state.Record
	if record != nil && inRules(record) {
		err = withdraw(record)
	}
	if r.state.Broken != nil {
		err = errors.Join(err, withdrawMark(r.names.mark))
	}
	return err
}
