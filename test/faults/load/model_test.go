package load

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
)

// Error codes that the model allows. The documentation lists those from 100 on.
const (
	codeInterface = types.ErrInvalidEnvironmentVariables // the interface name is in use in the container
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
	stale     bool // its namespace was deleted, and the veth pair with it
}

// model is the expected state of one container: its attachments, and the addresses that a sticky network keeps for it.
type model struct {
	here   map[key]entry
	memory map[key][]string
}

func newModel() model { return model{here: map[key]entry{}, memory: map[key][]string{}} }

func (b model) without(k key) model {
	here := maps.Clone(b.here)
	delete(here, k)
	return model{here: here, memory: b.memory}
}

func (b model) with(k key, e entry, sticky bool) model {
	out := model{here: maps.Clone(b.here), memory: b.memory}
	out.here[k] = e
	if sticky {
		out.memory = maps.Clone(b.memory)
		out.memory[k] = e.addresses
	}
	return out
}

// nameInUse reports whether a live attachment of another network has the interface name in the container.
func (b model) nameInUse(k key) bool {
	for other, e := range b.here {
		if other != k && other.IfName == k.IfName && !e.stale {
			return true
		}
	}
	return false
}

// done is a call that was made.
type done struct {
	op
	span
	prev      json.RawMessage // the prevResult of the call
	code      uint            // of the error; 0 for none
	result    []byte
	addresses []string
	answer    string // exit status and output, for the log
}

// rules are what one round allows beyond the container's own model, because of concurrent calls.
type rules struct {
	sticky          func(network string) bool
	mayBeFull       func(k key) bool  // so many others had or requested an address that the pool may have been full
	portMayConflict func(k key) bool  // another attachment had or requested the host port of k
	refused         func(d done) bool // a concurrent ADD had the interface name, failed with a port conflict and was undone
	alone           func(d done) bool // no concurrent ADD of another attachment to the network
}

// step returns the models that a call may lead to; none if the model does not allow its answer.
func (r rules) step(b model, d done) []model {
	switch {
	case d.verb == "ADD":
		return r.add(b, d)
	case d.verb == "DEL" && d.code == 0:
		return []model{b.without(d.key)}
	case d.verb == "CHECK" && r.check(b, d):
		return []model{b}
	}
	return nil
}

func (r rules) add(b model, d done) []model {
	before, known := b.here[d.key]
	switch {
	case known && !before.stale:
		return only(b, d.code == codeAttached)
	case (b.nameInUse(d.key) || r.refused(d)) && d.code == codeInterface:
		return []model{b, b.without(d.key)} // ADD removes the stale attachment, unless it finds the name in use before
	case d.code == codeAgain:
		return only(b.without(d.key), r.mayBeFull(d.key))
	case d.code == codeTaken && r.portMayConflict(d.key):
		return []model{b, b.without(d.key)} // ADD removes the stale attachment, unless it finds the port conflict before
	case d.code != 0 || b.nameInUse(d.key):
		return nil
	}
	due := b.memory[d.key]
	if known && due == nil && r.alone(d) && !r.mayBeFull(d.key) {
		due = before.addresses // the next ADD gets the address of the stale attachment
	}
	after := b.with(d.key, entry{result: d.result, addresses: d.addresses}, r.sticky(d.key.Network))
	return only(after, due == nil || slices.Equal(due, d.addresses))
}

func only(b model, right bool) []model {
	if right {
		return []model{b}
	}
	return nil
}

// check reports whether the answer to a CHECK is allowed: success with the result of the current ADD, drift with other addresses.
// With the same addresses and another difference, such as a metric, either is allowed.
func (r rules) check(b model, d done) bool {
	e, known := b.here[d.key]
	switch {
	case d.prev == nil:
		return d.code == codeConfig
	case !known || e.stale || !slices.Equal(addressesIn(d.prev), e.addresses):
		return d.code == codeDrift
	case bytes.Equal(d.prev, e.result):
		return d.code == 0
	}
	return d.code == 0 || d.code == codeDrift
}

// explain searches an order of the calls in which every answer is allowed, that ends in an accepted model, and in which no call
// precedes one that had ended when it began.
func (r rules) explain(b model, calls []done, accept func(model) (model, bool)) (model, bool) {
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
