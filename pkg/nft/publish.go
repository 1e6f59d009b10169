package nft

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Publish adds an entry's elements, all or none. Elements that exist with the same
// owner are kept. Errors wrap ErrNotBuilt if chains or the table are missing,
// ErrUnsupported, or are a *TakenError if another owner has an address or a port.
//
// A mapping for one host address conflicts with a wildcard mapping of the same port,
// as in bind(2), but the two are elements of different maps. The caller must exclude
// concurrent calls: all others while an entry with HasHostIP is published.
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
		return fmt.Errorf("add elements of network %s to table inet %s of nftables: %w", e.Network, tableName, ErrNotBuilt)
	}
	if err != nil {
		return fmt.Errorf("add elements of nftables: %w", err)
	}
	return nil
}

// PublishReplacing adds the elements as Publish does, and calls Replace if another owner has one of them.
func (r *Ruleset) PublishReplacing(e Entry, isStale func(owner string) bool) error {
	err := r.Publish(e)
	if other := new(TakenError); errors.As(err, &other) {
		return r.Replace(e, isStale)
	}
	return err
}

// create adds an entry's elements in one transaction.
// It reads nothing: the answer of the kernel
// says whether the chains exist and whether an element has the same key.
func (r *Ruleset) create(e Entry) error {
	messages, err := additions(e)
	if err != nil || len(messages) == 0 {
		return err
	}
	r.growSendBuffer(len(e.Ports))
	return r.commit(messages)
}

// growSendBuffer enlarges the send buffer for a transaction of many ports.
// netlink_sendmsg returns EMSGSIZE for a datagram that is larger than the buffer, and
// a transaction must be one datagram: the batch is committed at its end message. The
// usual ADD has a few elements and is spared the system call.
func (r *Ruleset) growSendBuffer(ports int) {
	if ports > perMessage {
		r.conn.SetSendBuffer(4 << 20)
	}
}

// additions returns the messages that add an entry's elements: its own with
// NLM_F_EXCL, the shared ones without, as they may exist.
// Without the flag the kernel accepts an element whose key and data exist, and keeps
// the comment of the existing one (nft_add_set_elem): a new attachment with a re-used
// address would believe that it owns the element, and a late DEL of the former owner
// would remove it.
func additions(e Entry) ([]nlsock.Message, error) { return additionsOf(e.shared(), e.elements()) }

// additionsOf is additions for the elements that an entry shares, and some of its own.
func additionsOf(shared, own []element) ([]nlsock.Message, error) {
	messages, err := elementMessages(shared, unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE)
	if err != nil {
		return nil, err
	}
	more, err := elementMessages(own, unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	return append(messages, more...), err
}

// deletions returns the messages that remove elements.
func deletions(elements []element) ([]nlsock.Message, error) {
	return elementMessages(bySet(elements), unix.NFT_MSG_DELSETELEM, 0)
}

// perMessage is the number of elements in one message: the length of an attribute, here the list, is a
// 16-bit number.
const perMessage = 100

// elementMessages returns the messages that add or delete elements, each about one set; elements of one
// set follow each other.
func elementMessages(elements []element, kind, flags uint16) (messages []nlsock.Message, err error) {
	for len(elements) > 0 {
		n := 1
		for n < len(elements) && n < perMessage && elements[n].set == elements[0].set {
			n++
		}
		body, err := elementsMessage(elements[:n], kind == unix.NFT_MSG_NEWSETELEM)
		if err != nil {
			return nil, fmt.Errorf("encode elements of nftables: %w", err)
		}
		messages = append(messages, nfnl.NftablesRequest(kind, flags, byte(setSpecOf(elements[0].set).family()), body))
		elements = elements[n:]
	}
	return messages, nil
}

// Replace adds elements as Publish does, and removes stale owners in the same transaction: those for whose
// comment isStale is true. All elements of a replaced owner are removed, not only the
// conflicting ones: its ports may lead to an address that another container has by
// now. Elements that the entry has already are not in the transaction.
// Removal and addition are in one transaction, so that there is no moment without the
// address, in which a third attachment could take it. The kernel applies the messages
// of a batch in order, and an element that is deleted in the batch does not conflict
// with one that is added later in it.
func (r *Ruleset) Replace(e Entry, isStale func(owner string) bool) error {
	const tries = 5
	var err error
	for range tries { // the kernel refuses all if another process removed an element meanwhile
		if err = r.replace(e, isStale); !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return fmt.Errorf("add elements of network %s to table inet %s of nftables: %w", e.Network, tableName, ErrNotBuilt)
}

// replace reads, compares and commits once.
func (r *Ruleset) replace(e Entry, isStale func(owner string) bool) error {
	want := e.elements()
	there, err := r.find(want)
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
	stale, err := staleOwners(slices.Concat(there, overlapping), e, isStale)
	if err != nil {
		return err
	}
	if len(stale) == 0 && len(shared) == len(e.shared()) && sameElements(there, want) {
		return nil
	}
	left, err := r.ofOwners(stale)
	if err != nil {
		return err
	}
	removals, err := deletions(append(except(ofOwner(there, e), want), left...))
	if err != nil {
		return err
	}
	added, err := additionsOf(e.shared(), except(want, there))
	if err != nil {
		return err
	}
	r.growSendBuffer(len(e.Ports) + len(left))
	if err := r.commit(append(removals, added...)); err != nil {
		return fmt.Errorf("replace elements of nftables: %w", err)
	}
	return nil
}

// staleOwners returns the IDs of the other owners of elements, all of which are
// stale; a *TakenError if one is not.
func staleOwners(there []element, e Entry, isStale func(owner string) bool) (map[string]bool, error) {
	stale := map[string]bool{}
	for _, found := range there {
		m := ownerID(found.comment)
		if m == ownerID(e.Owner) || stale[m] {
			continue
		}
		if !isStale(found.comment) {
			return nil, taken(found)
		}
		stale[m] = true
	}
	return stale, nil
}

// ofOwners lists all elements of some owners.
func (r *Ruleset) ofOwners(marks map[string]bool) ([]element, error) {
	if len(marks) == 0 {
		return nil, nil
	}
	all, err := r.listWhole(names())
	return slices.DeleteFunc(all, func(e element) bool { return !marks[ownerID(e.comment)] }), err
}

// ofOwner returns the elements whose owner is the entry's.
func ofOwner(there []element, e Entry) []element {
	return slices.DeleteFunc(slices.Clone(there), func(found element) bool { return ownerID(found.comment) != ownerID(e.Owner) })
}

// except returns the elements that are not in another list, with the same data and owner.
func except(all, others []element) []element {
	known := map[element]bool{}
	for _, e := range others {
		known[e] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(e element) bool { return known[e] })
}

// sameElements reports whether two lists have the same elements in any order.
func sameElements(a, b []element) bool {
	byKey := func(a, b element) int { return strings.Compare(a.set+" "+a.key, b.set+" "+b.key) }
	return slices.Equal(slices.SortedFunc(slices.Values(a), byKey), slices.SortedFunc(slices.Values(b), byKey))
}

// oneByOne is up to how many elements are looked up by key. Each look-up is a
// request; a dump has all elements of the host.
const oneByOne = 64

// find returns those elements that exist, with their owners and data.
// A look-up by key (NFT_MSG_GETSETELEM without
// NLM_F_DUMP) takes the time of a hash lookup, whatever the size of the set.
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
		answers, err := r.ask(unix.NFT_MSG_GETSETELEM, 0, byte(setSpecOf(e.set).family()), body)
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

// findInLists is find for many elements.
func (r *Ruleset) findInLists(elements []element) ([]element, error) {
	want := map[string]bool{}
	var sets []string
	for _, e := range elements {
		want[e.set+" "+e.key] = true
		if !slices.Contains(sets, e.set) {
			sets = append(sets, e.set)
		}
	}
	all, err := r.listWhole(sets)
	return slices.DeleteFunc(all, func(e element) bool { return !want[e.set+" "+e.key] }), err
}
