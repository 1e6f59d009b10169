package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// compare compares a round with the models, container by container, and then the whole host with what they say.
func (c *churn) compare(t *testing.T, calls []done) {
	t.Helper()
	seen := readState(t, c.h, c.containerList())
	r := c.rules(calls)
	for id, b := range c.models {
		mine := slices.DeleteFunc(slices.Clone(calls), func(d done) bool { return d.key.ID != id })
		after, found := r.explain(b, mine, func(end model) (model, bool) { return end.agrees(seen.recordsOf(id), r) })
		if !found {
			t.Errorf("no order of these calls explains the answers and the records:\n%s\nbefore: %s\nrecords after: %v",
				history(calls, mine), b, seen.recordsOf(id))
		}
		c.models[id] = after
	}
	if t.Failed() {
		return
	}
	want := c.want()
	c.dropRulesOfStale(seen)
	seen.equal(t, want)
}

// dropRulesOfStale removes elements and ifb devices of stale attachments from what was seen: they stay until DEL, elements at most until the
// table is rebuilt.
func (c *churn) dropRulesOfStale(seen state) {
	for _, b := range c.models {
		for k, e := range b.here {
			if e.stale {
				delete(seen.Rules, k)
				delete(seen.Ports, k)
				delete(seen.Limits, k)
			}
		}
	}
}

// rules returns what the calls of a round allow.
func (c *churn) rules(calls []done) rules {
	sizes, remembers := map[string]int{}, map[string]bool{}
	for _, f := range c.planner.families {
		sizes[f.name], remembers[f.name] = f.size, f.sticky
	}
	wanted := c.wanted(calls)
	return rules{
		sticky:          func(network string) bool { return remembers[network] },
		mayBeFull:       func(k key) bool { return sizes[k.Network] > 0 && othersThan(k, wanted) >= sizes[k.Network] },
		portMayConflict: func(k key) bool { return c.portConflicts(k, wanted) },
		refused: func(d done) bool {
			return slices.ContainsFunc(calls, func(o done) bool {
				return o.code == codeTaken && o.key != d.key && o.key.ID == d.key.ID && o.key.IfName == d.key.IfName && o.from.Before(d.to) && d.from.Before(o.to)
			})
		},
		alone: func(d done) bool {
			return !slices.ContainsFunc(calls, func(o done) bool {
				return o.verb == "ADD" && o.key.Network == d.key.Network && o.key != d.key && o.from.Before(d.to) && d.from.Before(o.to)
			})
		},
	}
}

// wanted returns the attachments that had an address before the round or requested one in it.
func (c *churn) wanted(calls []done) map[key]bool {
	out := map[key]bool{}
	for _, k := range c.present() {
		out[k] = true
	}
	for _, d := range calls {
		if d.verb == "ADD" {
			out[d.key] = true
		}
	}
	return out
}

// portConflicts reports whether another attachment publishes the host port of k.
func (c *churn) portConflicts(k key, wanted map[key]bool) bool {
	for other := range wanted {
		if other != k && c.planner.portOf(k) != 0 && c.planner.portOf(other) == c.planner.portOf(k) {
			return true
		}
	}
	return false
}

func othersThan(k key, keys map[key]bool) int {
	n := 0
	for other := range keys {
		if other != k && other.Network == k.Network {
			n++
		}
	}
	return n
}

// agrees compares the model with a container's records. A stale attachment may have lost its address and record to an ADD that found the pool full.
func (b model) agrees(records map[key][]string, r rules) (model, bool) {
	for k, e := range b.here {
		if _, there := records[k]; !there && e.stale && r.mayBeFull(k) {
			b = b.without(k)
		}
	}
	mine := map[key][]string{}
	for k, e := range b.here {
		mine[k] = e.addresses
	}
	return b, cmp.Equal(mine, records)
}

// recordsOf returns the records of one container.
func (s state) recordsOf(id string) map[key][]string {
	out := maps.Clone(s.Records)
	maps.DeleteFunc(out, func(k key, _ []string) bool { return k.ID != id })
	return out
}

// want returns the state that the models say the host has.
func (c *churn) want() state {
	s, bridges, masquerades := newState(), map[string]string{}, map[string]bool{}
	for _, f := range c.planner.families {
		bridges[f.name], masquerades[f.name] = f.bridge, f.masquerades
	}
	for _, b := range c.models {
		for k, e := range b.here {
			if e.stale {
				s.remember(k, e.addresses)
				continue
			}
			s.add(k, bridges[k.Network], e.addresses)
			if masquerades[k.Network] {
				s.Rules[k] = withoutLengths(e.addresses)
			}
			if c.planner.familyOf(k).limited {
				s.Limits[k] = "ifb"
			}
			if port := c.planner.portOf(k); port != 0 {
				s.publish(k, port, c.planner.familyOf(k).hostIP, withoutLengths(e.addresses))
			}
		}
	}
	return s
}

func withoutLengths(addresses []string) []string {
	var out []string
	for _, a := range addresses {
		address, _, _ := strings.Cut(a, "/")
		out = append(out, address)
	}
	return sorted(out)
}

func (b model) String() string {
	var out []string
	for k, e := range b.here {
		text := fmt.Sprint(k.Network, "/", k.IfName, e.addresses)
		if e.stale {
			text += " stale"
		}
		out = append(out, text)
	}
	return strings.Join(sorted(out), ", ")
}

// history lists the calls of one container in the order in which they began, in milliseconds since the start of the round.
func history(all, mine []done) string {
	var b strings.Builder
	start := all[0].from
	for _, d := range mine {
		fmt.Fprintf(&b, "%7.1f to %7.1f  %s: code %d %v\n", d.from.Sub(start).Seconds()*1000, d.to.Sub(start).Seconds()*1000, d.op, d.code, d.addresses)
		if d.prev != nil {
			fmt.Fprintf(&b, "\tprevResult has %v\n", addressesIn(d.prev))
		}
		if d.code != 0 {
			fmt.Fprintf(&b, "\t%s\n", strings.ReplaceAll(d.answer, "\n", "\n\t"))
		}
	}
	return b.String()
}

// count counts the calls by verb and code.
func count(tally map[string]int, calls []done) {
	for _, d := range calls {
		tally[fmt.Sprintf("%s:%d", d.verb, d.code)]++
	}
}
