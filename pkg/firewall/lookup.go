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

// set is one of a table, or a map.
type set struct {
	isInterval bool
	keyLength  int
	members    []member
}

// setConcat is NFT_SET_CONCAT, of Linux 5.6: the members of an interval set have first and last keys.
const setConcat = 0x80

func (f *Filters) set(p place, name string) (set, error) {
	answers, err := f.ask(unix.NFT_MSG_GETSET, 0, p.family, []netlink.Attribute{
		{Type: unix.NFTA_SET_TABLE, Data: cstring(p.table)}, {Type: unix.NFTA_SET_NAME, Data: cstring(name)},
	})
	if err != nil {
		return set{}, fmt.Errorf("look for set %s of table %s of nftables: %w", name, p.table, err)
	}
	s := set{}
	for _, a := range answers {
		flags := a.number(unix.NFTA_SET_FLAGS)
		s.isInterval = flags&unix.NFT_SET_INTERVAL != 0 && flags&setConcat == 0
		s.keyLength = int(min(a.number(unix.NFTA_SET_KEY_LEN), 64))
	}
	s.members, err = f.members(p, name)
	if s.isInterval {
		slices.SortStableFunc(s.members, func(a, b member) int { // an end before the beginning of the next
			return cmp.Or(bytes.Compare(a.key, b.key), cmp.Compare(sure(b.isEnd), sure(a.isEnd)))
		})
	}
	return s, err
}

// hit is a member that a key may be, and how often.
type hit struct {
	answer answer
	member member
}

// find lists what v may be; after one that it always is nothing follows.
func (s set) find(v value) (hits []hit) {
	if s.isInterval && v.isKnown() {
		hits = s.findInterval(v.data)
	} else {
		hits = s.findEach(v)
	}
	if len(hits) > 0 && hits[len(hits)-1].answer == always {
		return hits
	}
	for _, m := range s.members {
		if m.isDefault {
			hits = append(hits, hit{always, m})
		}
	}
	return hits
}

// findInterval finds the last member that is not behind the key: the key is within what begins there.
func (s set) findInterval(key []byte) []hit {
	var last *member
	for i, m := range s.members {
		if !m.isDefault && bytes.Compare(m.key, key) <= 0 {
			last = &s.members[i]
		}
	}
	if last == nil || last.isEnd {
		return nil
	}
	return []hit{{always, *last}}
}

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

// holds compares a key with a member of a set that has no intervals, or of one of concatenations,
// where each part is a range of its own: parts are whole words, and those that are one value are compared.
func (m member) holds(v value) answer {
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

// lookup is `@set`, or a map: of verdicts, or of data.
func (j *judgement) lookup(e expression) ([]choice, error) {
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
		if len(hits) == 1 && hits[0].answer == always {
			data = known(hits[0].member.data)
		}
		j.registers.load(dreg, data)
		return nil, nil
	}
	return j.verdicts(hits), nil
}

// best is how often one of the members is met.
func best(hits []hit) answer {
	a := never
	for _, h := range hits {
		a = max(a, h.answer)
	}
	return a
}

// verdicts are the choices of a map, each verdict once: of many elements most lead to few chains. The
// rule goes on only with an element that says so (continue).
func (j *judgement) verdicts(hits []hit) (choices []choice) {
	at := map[verdict]int{}
	goesOn := never
	for _, h := range hits {
		c := choice{min(j.so, h.answer), h.member.verdict}
		if c.verdict.kind == none {
			goesOn = max(goesOn, c.answer)
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
		choices[i].answer = max(choices[i].answer, c.answer)
	}
	j.so = goesOn
	slices.SortStableFunc(choices, func(a, b choice) int { return int(a.answer - b.answer) }) // what always happens last
	return choices
}
