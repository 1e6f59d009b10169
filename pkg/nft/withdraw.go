package nft

import (
	"errors"
	"fmt"
	stdmaps "maps"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Withdraw removes an entry's elements, those that are there and carry the mark of its owner. The
// chains stay. A missing element, table or nf_tables is no error: nothing is left of the entry.
func (r *Ruleset) Withdraw(e Entry) error {
	_, err := r.remove(func() ([]element, error) { return r.find(e.elements()) }, e.Owner)
	return err
}

// WithdrawOwner is Withdraw for when nothing but the owner's mark is known: it looks through all
// elements. Owner is a comment, or its first word. It returns the ports that led to the owner.
func (r *Ruleset) WithdrawOwner(owner string) (led []Port, err error) {
	gone, err := r.remove(func() ([]element, error) { return r.listWhole(names()) }, owner)
	for _, e := range gone {
		if p, whole := publishedPort(e); whole {
			led = append(led, p)
		}
	}
	return led, err
}

// remove asks again when an element went away between the look and the transaction: one missing
// element makes the kernel refuse all of it, and DESTROYSETELEM, which does not mind, is as young
// as Linux 6.3. It returns those that it has removed.
func (r *Ruleset) remove(look func() ([]element, error), owner string) (there []element, err error) {
	const tries = 5
	for range tries {
		if there, err = look(); errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
			return nil, nil // without nf_tables nobody has an element
		}
		if err != nil {
			return nil, err
		}
		there = slices.DeleteFunc(there, func(e element) bool { return mark(e.comment) != mark(owner) })
		if err = r.delete(there); !errors.Is(err, unix.ENOENT) {
			return there, err
		}
	}
	return nil, err
}

func (r *Ruleset) delete(elements []element) error {
	messages, err := deletions(elements)
	if err != nil || len(messages) == 0 {
		return err
	}
	r.makeRoom(len(elements))
	if err := r.commit(messages); err != nil {
		return fmt.Errorf("remove elements of nftables: %w", err)
	}
	return nil
}

// listWhole is list until nobody has changed the ruleset meanwhile: the kernel tells a long list in
// pieces and counts what it has told, so that one that is removed before the next piece hides
// another. Where there is always somebody, it is all that was seen in several looks.
func (r *Ruleset) listWhole(sets []string) ([]element, error) {
	const looks = 10
	seen := map[string]element{}
	for range looks {
		var now []element
		steady, err := r.steady(func() (err error) {
			now, err = r.list(sets)
			return err
		})
		if err != nil || steady {
			return now, err
		}
		for _, e := range now {
			seen[e.set+" "+e.key] = e
		}
	}
	return slices.Collect(stdmaps.Values(seen)), nil
}

// list returns every element of some sets and maps.
func (r *Ruleset) list(sets []string) ([]element, error) {
	var all []element
	for _, set := range sets {
		body, err := named(map[uint16]string{unix.NFTA_SET_ELEM_LIST_TABLE: tableName, unix.NFTA_SET_ELEM_LIST_SET: set})
		if err != nil {
			return nil, err
		}
		copy(body, headerOf(shapeOf(set)))
		answers, err := r.ask(unix.NFT_MSG_GETSETELEM, netlink.Dump, body)
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

// names are those of all sets and maps.
func names() []string {
	var all []string
	for _, s := range shapes() {
		all = append(all, s.name)
	}
	return all
}
