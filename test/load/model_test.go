package load

import (
	"bytes"
	"maps"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
)

// Codes of errors that the model allows; README lists those from 100 on.
const (
	codeInterface = types.ErrInvalidEnvironmentVariables // the interface's name is taken in the container
	codeConfig    = types.ErrInvalidNetworkConfig
	codeAgain     = types.ErrTryAgainLater
	codeAttached  = 100
	codeTaken     = 102
	codeDrift     = 106
)

// entry is an attachment.
type entry struct {
	result    []byte
	addresses []string
	dead      bool // its namespace is gone, and with it both ends of the cable
}

// book is what a model knows of one container: its attachments, and the addresses that a sticky network keeps for it.
type book struct {
	here   map[key]entry
	memory map[key][]string
}

func newBook() book { return book{here: map[key]entry{}, memory: map[key][]string{}} }

func (b book) without(k key) book {
	here := maps.Clone(b.here)
	delete(here, k)
	return book{here: here, memory: b.memory}
}

func (b book) with(k key, e entry, sticky bool) book {
	out := book{here: maps.Clone(b.here), memory: b.memory}
	out.here[k] = e
	if sticky {
		out.memory = maps.Clone(b.memory)
		out.memory[k] = e.addresses
	}
	return out
}

// nameInUse tells whether another network has the interface's name in the container.
func (b book) nameInUse(k key) bool {
	for other, e := range b.here {
		if other != k && other.IfName == k.IfName && !e.dead {
			return true
		}
	}
	return false
}

// done is a call that was made.
type done struct {
	op
	span
	prev      []byte // what it was given as prevResult
	code      uint   // of the error; 0 for none
	result    []byte
	addresses []string
	answer    string // all of it, for people
}

// rules are what one round allows beyond what the container's own book says.
type rules struct {
	sticky    func(network string) bool
	mayBeFull func(k key) bool  // so many others had, or wanted, an address that there may have been none for k
	mayBeHeld func(k key) bool  // another had, or wanted, the port of the host that k wants
	refused   func(d done) bool // an ADD that had the interface's name at that time was refused its port, and undone
	alone     func(d done) bool // nobody else was given an address of the network at that time
}

// step are the books that a call may lead to; none if it could not end as it did.
func (r rules) step(b book, d done) []book {
	switch {
	case d.verb == "ADD":
		return r.add(b, d)
	case d.verb == "DEL" && d.code == 0:
		return []book{b.without(d.key)}
	case d.verb == "CHECK" && r.check(b, d):
		return []book{b}
	}
	return nil
}

func (r rules) add(b book, d done) []book {
	before, known := b.here[d.key]
	switch {
	case known && !before.dead:
		return only(b, d.code == codeAttached)
	case (b.nameInUse(d.key) || r.refused(d)) && d.code == codeInterface:
		return []book{b, b.without(d.key)} // the dead one is cleaned up, unless the name was taken before all else
	case d.code == codeAgain:
		return only(b.without(d.key), r.mayBeFull(d.key))
	case d.code == codeTaken:
		return only(b.without(d.key), r.mayBeHeld(d.key))
	case d.code != 0 || b.nameInUse(d.key):
		return nil
	}
	due := b.memory[d.key]
	if known && due == nil && r.alone(d) && !r.mayBeFull(d.key) {
		due = before.addresses // a dead one's successor has its address
	}
	after := b.with(d.key, entry{result: d.result, addresses: d.addresses}, r.sticky(d.key.Network))
	return only(after, due == nil || slices.Equal(due, d.addresses))
}

func only(b book, right bool) []book {
	if right {
		return []book{b}
	}
	return nil
}

// check must pass with the result of the ADD that is in force, and find the difference to one with other addresses. The same
// addresses with something else different (a metric) may pass or not.
func (r rules) check(b book, d done) bool {
	e, known := b.here[d.key]
	switch {
	case d.prev == nil:
		return d.code == codeConfig
	case !known || e.dead || !slices.Equal(addressesIn(d.prev), e.addresses):
		return d.code == codeDrift
	case bytes.Equal(d.prev, e.result):
		return d.code == 0
	}
	return d.code == 0 || d.code == codeDrift
}

// explain looks for an order of the calls that makes every answer right, leads to a book that is accepted, and puts no call
// before one that had ended when it began.
func (r rules) explain(b book, calls []done, accept func(book) (book, bool)) (book, bool) {
	if len(calls) == 0 {
		return accept(b)
	}
	for i, d := range calls {
		tooEarly := slices.ContainsFunc(calls, func(other done) bool { return other.to.Before(d.from) })
		if tooEarly {
			continue
		}
		for _, after := range r.step(b, d) {
			if end, found := r.explain(after, slices.Delete(slices.Clone(calls), i, i+1), accept); found {
				return end, true
			}
		}
	}
	return b, false
}
