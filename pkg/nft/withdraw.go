package nft

import (
	"errors"
	"fmt"
	stdmaps "maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
)

// Withdraw removes those of the entries' elements that exist and have the owner of
// their entry, up to some 4096 in one transaction. Chains stay. A missing element, table
// or kernel support is no error.
func (r *Ruleset) Withdraw(all ...Entry) error {
	const most = 4096 // elements of a transaction, unless one entry has more
	count, first := 0, 0
	for i, e := range all {
		n := len(e.elements())
		if count > 0 && count+n > most {
			if err := r.withdraw(all[first:i]); err != nil {
				return err
			}
			count, first = 0, i
		}
		count += n
	}
	return r.withdraw(all[first:])
}

// withdraw is Withdraw in one transaction.
func (r *Ruleset) withdraw(all []Entry) error {
	_, err := r.remove(func() (there []element, err error) {
		for _, e := range all {
			found, err := r.find(e.elements())
			if err != nil {
				return nil, err
			}
			there = append(there, owned(found, e.Owner)...)
		}
		return there, nil
	})
	return err
}

// WithdrawExcept removes those of an entry's elements that exist, have its owner, and that
// the same attachment does not have as another entry: the elements of ports that it no
// longer publishes.
func (r *Ruleset) WithdrawExcept(e, kept Entry) error {
	stays := map[string]bool{}
	for _, one := range kept.elements() {
		stays[one.set+" "+one.key] = true
	}
	leaving := slices.DeleteFunc(e.elements(), func(one element) bool { return stays[one.set+" "+one.key] })
	_, err := r.remove(func() ([]element, error) {
		found, err := r.find(leaving)
		return owned(found, e.Owner), err
	})
	return err
}

// WithdrawOwner removes all elements of an owner, for callers that have no entry.
// Owner is a comment or its first word. It returns the ports that were published for
// the owner.
func (r *Ruleset) WithdrawOwner(owner string) (targets []Port, err error) {
	gone, err := r.remove(func() ([]element, error) {
		found, err := r.listWhole(names())
		return owned(found, owner), err
	})
	for _, e := range gone {
		if p, whole := publishedPort(e); whole {
			targets = append(targets, p)
		}
	}
	return targets, err
}

// owned returns those elements that are an owner's.
func owned(all []element, owner string) []element {
	return slices.DeleteFunc(all, func(e element) bool { return !sameOwner(e.comment, owner) })
}

// remove removes the elements that read returns, and returns them. It reads again if one of them disappeared before the transaction: one missing
// element makes the kernel refuse the whole transaction, and NFT_MSG_DESTROYSETELEM,
// which ignores that, needs Linux 6.3.
// A transaction with a deletion costs more than one without: the kernel frees the
// elements after an RCU grace period, for which close(2) of the socket waits. DEL
// therefore removes rules and interface at the same time.
//
// Chains are kept. Deleting the last chain of a network with its last attachment would
// race with an ADD that needs the chain, and a host that runs one container at a time
// would add it for each of them. Sweep removes chains that are not used.
func (r *Ruleset) remove(read func() ([]element, error)) (there []element, err error) {
	const tries = 5
	for range tries {
		if there, err = read(); nfnl.IsUnsupported(err) {
			return nil, nil // without nf_tables there are no elements
		}
		if err != nil {
			return nil, err
		}
		if err = r.delete(there); !errors.Is(err, unix.ENOENT) {
			return there, err
		}
	}
	return nil, err
}

// sameOwner reports whether a comment is an owner's: by the ID, and by the text
// behind it as far as both have it, because either may have been cut.
func sameOwner(comment, owner string) bool {
	return ownerID(comment) == ownerID(owner) && (strings.HasPrefix(comment, owner) || strings.HasPrefix(owner, comment))
}

// delete removes elements in one transaction.
func (r *Ruleset) delete(elements []element) error {
	messages, err := deletions(elements)
	if err != nil || len(messages) == 0 {
		return err
	}
	r.growSendBuffer(len(elements))
	if err := r.commit(messages); err != nil {
		return fmt.Errorf("remove elements of nftables: %w", err)
	}
	return nil
}

// listWhole is list until the ruleset does not change meanwhile. The kernel sends a
// long list in parts and counts what it has sent, so that an element which is removed
// between two parts hides another one. If the ruleset changes at every attempt, it
// returns all that was seen in any of them.
// The union of all attempts may have elements that are gone by now. Callers remove or
// compare them, and a removal of a missing element is retried: an extra element does
// less harm than one that was not seen.
func (r *Ruleset) listWhole(sets []string) ([]element, error) {
	var now []element
	seen := map[string]element{}
	consistent, err := r.unchanged(func() (err error) {
		now, err = r.list(sets)
		for _, e := range now {
			seen[e.set+" "+e.key] = e
		}
		return err
	})
	if err != nil || consistent {
		return now, err
	}
	return slices.Collect(stdmaps.Values(seen)), nil
}

// list returns the elements of some sets and maps.
func (r *Ruleset) list(sets []string) ([]element, error) {
	var all []element
	for _, set := range sets {
		body, err := named(map[uint16]string{unix.NFTA_SET_ELEM_LIST_TABLE: tableName, unix.NFTA_SET_ELEM_LIST_SET: set})
		if err != nil {
			return nil, err
		}
		answers, err := r.ask(unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, byte(setSpecOf(set).family()), body)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list map %s of nftables: %w", set, err)
		}
		found, err := elementsOf(set, answers)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// names returns the names of all sets and maps.
func names() []string {
	var all []string
	for _, s := range setSpecs() {
		all = append(all, s.name)
	}
	return all
}
