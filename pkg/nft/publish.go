package nft

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Publish adds an entry's elements, all or none. What is there already with the same owner is as
// good. Errors wrap ErrNotBuilt where chains or the table are missing, are a *TakenError where
// another owner has an address, or wrap ErrUnsupported.
func (r *Ruleset) Publish(e Entry) error {
	err := r.create(e.elements())
	if errors.Is(err, unix.EEXIST) {
		return r.replaceOwn(e)
	}
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("table %s of nftables, as network %s needs it, %w", tableName, e.Network, ErrNotBuilt)
	}
	if err != nil {
		return fmt.Errorf("add elements of nftables: %w", err)
	}
	return nil
}

func (r *Ruleset) create(elements []element) error {
	messages, err := additions(elements)
	if err != nil || len(messages) == 0 {
		return err
	}
	return r.commit(messages)
}

func additions(elements []element) ([]netlink.Message, error) {
	messages := make([]netlink.Message, 0, len(elements))
	for _, e := range elements {
		body, err := e.message(true)
		if err != nil {
			return nil, err
		}
		messages = append(messages, message(unix.NFT_MSG_NEWSETELEM, netlink.Acknowledge|netlink.Create|netlink.Excl, body))
	}
	return messages, nil
}

// Replace is Publish that also takes the place of the owner whose comment is dead, in one
// transaction. The caller knows that its attachment is not there any more.
func (r *Ruleset) Replace(e Entry, dead string) error { return r.replace(e, dead) }

// replaceOwn is for elements of which some are there: those of a rebuild that saw the record of
// this attachment while its ADD was on the way, or of an ADD that was killed.
func (r *Ruleset) replaceOwn(e Entry) error { return r.replace(e, e.comment()) }

func (r *Ruleset) replace(e Entry, owner string) error {
	there, err := r.find(e.elements())
	if err != nil {
		return err
	}
	for _, found := range there {
		if m := mark(found.comment); m != mark(owner) && m != mark(e.Owner) {
			return &TakenError{Bridge: e.Bridge, Address: found.address, Owner: found.comment}
		}
	}
	wanted := e.elements()
	if len(there) == len(wanted) && !slices.ContainsFunc(wanted, func(w element) bool { return !slices.Contains(there, w) }) {
		return nil
	}
	removals, err := deletions(there)
	if err != nil {
		return err
	}
	added, err := additions(wanted)
	if err != nil {
		return err
	}
	if err := r.commit(append(removals, added...)); err != nil {
		return fmt.Errorf("replace elements of nftables: %w", err)
	}
	return nil
}

// find returns those of the elements that are there, as they are there, whoever has them.
func (r *Ruleset) find(elements []element) ([]element, error) {
	var there []element
	for _, e := range elements {
		body, err := e.message(false)
		if err != nil {
			return nil, err
		}
		answers, err := r.ask(unix.NFT_MSG_GETSETELEM, 0, body)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up %s on %s in map %s of nftables: %w", e.address, e.bridge, e.set, err)
		}
		found, err := elementsOf(e.set, answers)
		if err != nil {
			return nil, err
		}
		there = append(there, found...)
	}
	return there, nil
}
