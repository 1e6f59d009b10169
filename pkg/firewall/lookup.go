package firewall

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func reverse(b []byte) { slices.Reverse(b) }

// set is a set or a map.
type set struct {
	isInterval bool
	keyLength  int
	members    []member
}

// setConcat is NFT_SET_CONCAT (Linux 5.6): the elements of an interval set have first
// and last keys.
const setConcat = 0x80

// set reads a set.
func (f *Filters) set(p place, name string) (set, error) {
	answers, err := f.ask(unix.NFT_MSG_GETSET, 0, p.family, []netlink.Attribute{
		{Type: unix.NFTA_SET_TABLE, Data: cstring(p.table)}, {Type: unix.NFTA_SET_NAME, Data: cstring(name)},
	})
	if err != nil {
		return set{}, fmt.Errorf("get set %s of table %s of nftables: %w", name, p.table, err)
	}
	s := set{}
	for _, a := range answers {
		flags := a.number(unix.NFTA_SET_FLAGS)
		s.isInterval = flags&unix.NFT_SET_INTERVAL != 0 && flags&setConcat == 0
		s.keyLength = int(min(a.number(unix.NFTA_SET_KEY_LEN), 64))
	}
	s.members, err = f.members(p, name)
	if s.isInterval {
		slices.SortStableFunc(s.members, func(a, b member) int { // the end of an interval before the start of the next
			return cmp.Or(bytes.Compare(a.key, b.key), cmp.Compare(sure(b.isEnd), sure(a.isEnd)))
		})
	}
	return s, err
}

// hit is a member that a key may equal, and how often.
type hit struct {
	likelihood likelihood
	member     member
}

// find returns the members that v may equal; none after one that it always equals.
func (s set) find(v value) (hits []hit) {
	lowest, highest := v.bounds()
	if first := s.startOf(lowest); s.isInterval && first == s.startOf(highest) {
		hits = s.findInterval(first)
	} else {
		hits = s.findEach(v)
	}
	if len(hits) > 0 && hits[len(hits)-1].likelihood == always {
		return hits
	}
	for _, m := range s.members {
		if m.isDefault {
			hits = append(hits, hit{always, m})
		}
	}
	return hits
}

// startOf returns the index of the last member that is not greater than a key: the key is in the interval that starts
// there. It is -1 if the key is before the first. A default element has no key, and is the first of the sorted members.
func (s set) startOf(key []byte) int {
	after, _ := slices.BinarySearchFunc(s.members, key, func(m member, key []byte) int {
		if bytes.Compare(m.key, key) <= 0 {
			return -1
		}
		return 1
	})
	return after - 1
}

// findInterval returns the member whose interval a key is in.
func (s set) findInterval(at int) []hit {
	if at < 0 || s.members[at].isEnd || s.members[at].isDefault {
		return nil
	}
	return []hit{{always, s.members[at]}}
}

// findEach compares the key with each member.
func (s set) findEach(v value) (hits []hit) {
	for _, m := range s.members {
		if m.isDefault || m.isEnd {
			continue
		}
		a := v.guess()
		if !s.isInterval {
			a = m.holds(v)
		}
		if a == always {
			return append(hits, hit{a, m})
		}
		if a != never {
			hits = append(hits, hit{a, m})
		}
	}
	return hits
}

// holds compares a key with a member of a set without intervals, or with a
// concatenation of ranges, whose parts are whole words; only parts that are single
// values are compared.
func (m member) holds(v value) likelihood {
	if len(m.end) != len(m.key) {
		return v.equals(m.key)
	}
	so := always
	for i := 0; i+4 <= min(len(m.key), len(v.data)); i += 4 {
		word := value{v.data[i : i+4], v.unknown[i : i+4], v.isVaried}
		if bytes.Equal(m.key[i:i+4], m.end[i:i+4]) {
			so = min(so, word.equals(m.key[i:i+4]))
			continue
		}
		so = min(so, word.guess())
	}
	return so
}

// lookup evaluates `@set`, or a map of verdicts or data.
func (j *evaluation) lookup(e expression) ([]choice, error) {
	s, err := j.view.set(j.in, e.with.text(unix.NFTA_LOOKUP_SET))
	if err != nil {
		return nil, err
	}
	v := j.registers.get(e.with.number(unix.NFTA_LOOKUP_SREG), s.keyLength)
	hits := s.find(v)
	if !e.with.has(unix.NFTA_LOOKUP_DREG) {
		j.so = min(j.so, best(hits).inverted(e.with.number(unix.NFTA_LOOKUP_FLAGS)&unix.NFT_LOOKUP_F_INV != 0))
		return nil, nil
	}
	if dreg := e.with.number(unix.NFTA_LOOKUP_DREG); dreg != unix.NFT_REG_VERDICT {
		j.so = min(j.so, best(hits))
		data := unknown(16, v.isVaried)
		if len(hits) == 1 && hits[0].likelihood == always {
			data = known(hits[0].member.data)
		}
		j.registers.load(dreg, data)
		return nil, nil
	}
	return j.verdicts(hits), nil
}

// best returns the highest likelihood.
func best(hits []hit) likelihood {
	a := never
	for _, h := range hits {
		a = max(a, h.likelihood)
	}
	return a
}

// verdicts returns the choices of a verdict map, each verdict once: most elements
// lead to few chains. The rule continues only for an element with verdict continue.
func (j *evaluation) verdicts(hits []hit) (choices []choice) {
	at := map[verdict]int{}
	goesOn := never
	for _, h := range hits {
		c := choice{min(j.so, h.likelihood), h.member.verdict}
		if c.verdict.kind == none {
			goesOn = max(goesOn, c.likelihood)
		}
		if c.verdict.kind == none || c.verdict.kind == stop {
			continue
		}
		i, seen := at[c.verdict]
		if !seen {
			at[c.verdict] = len(choices)
			choices = append(choices, c)
			continue
		}
		choices[i].likelihood = max(choices[i].likelihood, c.likelihood)
	}
	j.so = goesOn
	slices.SortStableFunc(choices, func(a, b choice) int { return int(a.likelihood - b.likelihood) }) // certain ones last
	return choices
}
