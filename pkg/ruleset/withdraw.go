package ruleset

import (
	"context"

	"github.com/patchbay-cni/patchbay/pkg/conntrack"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Withdraw removes the elements of an attachment, and ends the flows to its UDP and SCTP ports. The caller holds the lock. A
// kernel without nf_tables has no elements.
func Withdraw(record *store.Record) error {
	err := withRules(func(rules *nft.Ruleset) error { return rules.Withdraw(entryOf(record)) })
	if err == nil { // with a deadline of its own
		flush(context.Background(), record.Key().String(), datagrams(record), conntrack.FlushOwn)
	}
	return report.Except(err, nft.ErrUnsupported)
}

// WithdrawPorts removes the elements of an attachment that a record of it has and a later one has not, and ends the flows to the UDP and SCTP
// ports of gone, those that only the first record has. The caller holds the lock until the later record is saved: a process that rebuilds the
// table in between would restore the elements.
func WithdrawPorts(record, later *store.Record, gone []store.Port) error {
	err := withRules(func(rules *nft.Ruleset) error { return rules.WithdrawExcept(entryOf(record), entryOf(later)) })
	if err == nil {
		only := &store.Record{Publish: &store.Publish{Ports: gone}}
		flush(context.Background(), record.Key().String(), datagrams(only), conntrack.FlushOwn)
	}
	return report.Except(err, nft.ErrUnsupported)
}

// WithdrawElements removes the elements of several attachments, in one transaction of nftables: a transaction that removes something
// waits for an RCU grace period, however many elements it removes. The caller holds the lock, and calls Withdraw for each
// attachment afterwards, which ends the flows to its ports.
func WithdrawElements(records []*store.Record) error {
	entries := make([]nft.Entry, len(records))
	for i, record := range records {
		entries[i] = entryOf(record)
	}
	err := withRules(func(rules *nft.Ruleset) error { return rules.Withdraw(entries...) })
	return report.Except(err, nft.ErrUnsupported)
}

// WithdrawMark removes the elements of an attachment without a record: it finds them by the mark in their comment, which takes a
// dump of the table.
func WithdrawMark(mark string) error {
	var ports []nft.Port
	err := withRules(func(rules *nft.Ruleset) (err error) {
		ports, err = rules.WithdrawOwner(mark)
		return err
	})
	flush(context.Background(), mark, mappingsOf(ports), conntrack.FlushOwn)
	return report.Except(err, nft.ErrUnsupported)
}
