package nft

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Publish adds an entry's elements, all or none. What is there already with the same owner is as
// good. Errors wrap ErrNotBuilt where chains or the table are missing, are a *TakenError where
// another owner has an address or a port, or wrap ErrUnsupported.
//
// A port of any address and the same port of one address are in each other's way, as in bind(2),
// but are no element of one map: the caller sees to it that nobody publishes meanwhile an entry
// that is Specific, or while this one is, anybody.
func (r *Ruleset) Publish(e Entry) error {
	overlapping, err := r.overlaps(e)
	if err != nil {
		return err
	}
	for _, found := range overlapping {
		return taken(found)
	}
	err = r.create(e)
	if errors.Is(err, unix.EEXIST) {
		return r.Replace(e, func(string) bool { return false })
	}
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("table %s of nftables, as network %s needs it, %w", tableName, e.Network, ErrNotBuilt)
	}
	if err != nil {
		return fmt.Errorf("add elements of nftables: %w", err)
	}
	return nil
}

// PublishReplacing is Publish and, where another owner is in the way, Replace.
func (r *Ruleset) PublishReplacing(e Entry, gone func(owner string) bool) error {
	err := r.Publish(e)
	if other := new(TakenError); errors.As(err, &other) {
		return r.Replace(e, gone)
	}
	return err
}

func (r *Ruleset) create(e Entry) error {
	messages, err := additions(e)
	if err != nil || len(messages) == 0 {
		return err
	}
	r.makeRoom(len(e.Ports))
	return r.commit(messages)
}

// makeRoom lets a transaction of many ports into the socket.
func (r *Ruleset) makeRoom(ports int) {
	if ports > perMessage {
		r.conn.room(4 << 20)
	}
}

// additions are the messages that add an entry's elements: its own exclusively, those that it
// shares with whomever has made them.
func additions(e Entry) ([]netlink.Message, error) {
	shared, err := elementMessages(e.shared(), unix.NFT_MSG_NEWSETELEM, netlink.Create)
	if err != nil {
		return nil, err
	}
	own, err := elementMessages(e.elements(), unix.NFT_MSG_NEWSETELEM, netlink.Create|netlink.Excl)
	return append(shared, own...), err
}

func deletions(elements []element) ([]netlink.Message, error) {
	return elementMessages(bySet(elements), unix.NFT_MSG_DELSETELEM, 0)
}

func elementMessages(elements []element, kind uint16, flags netlink.HeaderFlags) ([]netlink.Message, error) {
	bodies, err := eachMessage(elements, kind == unix.NFT_MSG_NEWSETELEM)
	if err != nil {
		return nil, fmt.Errorf("encode elements of nftables: %w", err)
	}
	messages := make([]netlink.Message, 0, len(bodies))
	for _, body := range bodies {
		messages = append(messages, message(kind, netlink.Acknowledge|flags, body))
	}
	return messages, nil
}

// Replace is Publish that also takes the place of other owners, in one transaction: of those that
// gone, which is given the comment of an element, knows not to be there any more. All that these
// have goes with it: what their ports lead to may be an address of somebody else's by now.
func (r *Ruleset) Replace(e Entry, gone func(owner string) bool) error {
	const tries = 5
	var err error
	for range tries { // an element that somebody else removes meanwhile makes the kernel refuse all
		if err = r.replace(e, gone); !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return fmt.Errorf("table %s of nftables, as network %s needs it, %w", tableName, e.Network, ErrNotBuilt)
}

func (r *Ruleset) replace(e Entry, gone func(owner string) bool) error {
	wanted := e.elements()
	there, err := r.find(wanted)
	if err != nil {
		return err
	}
	shared, err := r.find(e.shared())
	if err != nil {
		return err
	}
	overlapping, err := r.overlaps(e)
	if err != nil {
		return err
	}
	dead, err := deadOf(slices.Concat(there, overlapping), e, gone)
	if err != nil {
		return err
	}
	if len(dead) == 0 && len(shared) == len(e.shared()) && sameElements(there, wanted) {
		return nil
	}
	left, err := r.ofOwners(dead)
	if err != nil {
		return err
	}
	removals, err := deletions(append(ownOf(there, e), left...))
	if err != nil {
		return err
	}
	added, err := additions(e)
	if err != nil {
		return err
	}
	r.makeRoom(len(e.Ports) + len(left))
	if err := r.commit(append(removals, added...)); err != nil {
		return fmt.Errorf("replace elements of nftables: %w", err)
	}
	return nil
}

// deadOf are the marks of other owners that have what an entry wants; a *TakenError if one of them
// is not gone.
func deadOf(there []element, e Entry, gone func(owner string) bool) (map[string]bool, error) {
	dead := map[string]bool{}
	for _, found := range there {
		m := mark(found.comment)
		if m == mark(e.Owner) || dead[m] {
			continue
		}
		if !gone(found.comment) {
			return nil, taken(found)
		}
		dead[m] = true
	}
	return dead, nil
}

// ofOwners are all elements that have one of some marks.
func (r *Ruleset) ofOwners(marks map[string]bool) ([]element, error) {
	if len(marks) == 0 {
		return nil, nil
	}
	all, err := r.listWhole(names())
	return slices.DeleteFunc(all, func(e element) bool { return !marks[mark(e.comment)] }), err
}

// ownOf are those of some elements that an entry has itself.
func ownOf(there []element, e Entry) []element {
	return slices.DeleteFunc(slices.Clone(there), func(found element) bool { return mark(found.comment) != mark(e.Owner) })
}

func sameElements(a, b []element) bool {
	byKey := func(a, b element) int { return strings.Compare(a.set+" "+a.key, b.set+" "+b.key) }
	return slices.Equal(slices.SortedFunc(slices.Values(a), byKey), slices.SortedFunc(slices.Values(b), byKey))
}

// oneByOne is up to how many elements are asked for by their keys; of more the whole map is listed.
const oneByOne = 64

// find returns those of the elements that are there, as they are there, whoever has them.
func (r *Ruleset) find(elements []element) ([]element, error) {
	if len(elements) > oneByOne {
		return r.findInLists(elements)
	}
	var there []element
	for _, e := range elements {
		body, err := elementsMessage([]element{e}, false)
		if err != nil {
			return nil, err
		}
		answers, err := r.ask(unix.NFT_MSG_GETSETELEM, 0, body)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up %s in map %s of nftables: %w", e.text(), e.set, err)
		}
		found, err := elementsOf(e.set, answers)
		if err != nil {
			return nil, err
		}
		there = append(there, found...)
	}
	return there, nil
}

// findInLists is find for many.
func (r *Ruleset) findInLists(elements []element) ([]element, error) {
	wanted := map[string]bool{}
	var sets []string
	for _, e := range elements {
		wanted[e.set+" "+e.key] = true
		if !slices.Contains(sets, e.set) {
			sets = append(sets, e.set)
		}
	}
	all, err := r.listWhole(sets)
	return slices.DeleteFunc(all, func(e element) bool { return !wanted[e.set+" "+e.key] }), err
}
