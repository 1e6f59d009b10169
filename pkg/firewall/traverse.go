package firewall

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// level is how well an outcome is possible.
type level int

const (
	no     level = iota
	barely       // only by a match that is rarely true
	well
)

// outcome is what may happen to a packet in a chain.
type outcome struct {
	accept, drop, ret level
	where             where // the drop that is best possible
}

// where is a rule that drops, or a chain's policy.
type where struct {
	in     place
	number int // of the rule, from 1; 0 is the policy
	rule   rule
	kind   kind // translate, untrack, or drop
}

// view is the part of the ruleset that has been read: each chain and set once for all
// packets.
type view struct {
	f     *Filters
	rules map[place][]rule
	sets  map[place]set
}

func (v *view) chain(p place) ([]rule, error) {
	if rules, read := v.rules[p]; read {
		return rules, nil
	}
	rules, err := v.f.rules(p)
	v.rules[p] = rules
	return rules, err
}

// leadsTo reports whether a rule of a chain that has been read jumps to another
// chain.
func (v *view) leadsTo(from place, name string) bool {
	for _, r := range v.rules[from] {
		for _, e := range r.expressions {
			if to := verdictOf(e.with.nested(unix.NFTA_IMMEDIATE_DATA)); to.target == name {
				return true
			}
		}
	}
	return false
}

// set returns a set of the table of a chain.
func (v *view) set(in place, name string) (set, error) {
	p := place{in.isLegacy, in.family, in.table, name}
	if s, read := v.sets[p]; read {
		return s, nil
	}
	s, err := v.f.set(p, name)
	v.sets[p] = s
	return s, err
}

// visit is a chain that a packet reached, with or without a mark.
type visit struct {
	place
	marked bool
}

// traversal is the path of one packet through the chains.
type traversal struct {
	view   *view
	packet packet
	been   map[visit]outcome
	depth  int // of the chain that is walked

	headers [2]header // of IP, and of the transport protocol; read with network and transport
}

func (w *traversal) network() header {
	if w.headers[0].data == nil {
		w.headers[0] = w.packet.networkHeader()
	}
	return w.headers[0]
}

func (w *traversal) transport() header {
	if w.headers[1].data == nil {
		w.headers[1] = w.packet.transportHeader()
	}
	return w.headers[1]
}

const (
	// mostDeep is twice the depth that the kernel allows (NFT_JUMP_STACK_SIZE).
	mostDeep = 32
	// mostChains limits the chains that one packet is passed through: kube-proxy has one
	// for each service.
	mostChains = 5000
)

// baseChain returns the outcome at a hook: packets that reach the end of the chain
// get its policy.
func (w *traversal) baseChain(c chain) (outcome, error) {
	o, err := w.chain(c.place())
	if err != nil {
		return o, err
	}
	if !c.isDrop {
		o.accept = max(o.accept, o.ret)
	} else if o.ret > o.drop {
		o.drop, o.where = o.ret, where{in: c.place()}
	}
	return o, nil
}

// chain returns the outcome in a chain and in those that it jumps to. Each chain is
// evaluated once, so the work is bounded by the number of rules.
func (w *traversal) chain(p place) (outcome, error) {
	key := visit{p, w.packet.marked}
	if o, has := w.been[key]; has {
		return o, nil
	}
	if w.depth > mostDeep || len(w.been) > mostChains {
		return outcome{accept: barely, drop: barely, ret: well}, nil
	}
	rules, err := w.view.chain(p)
	if err != nil {
		return outcome{}, err
	}
	w.depth++
	defer func() { w.depth-- }()
	var o outcome
	here := well // how well it is possible that a packet comes to this rule
	for i, r := range rules {
		choices, err := w.rule(p, r)
		if err != nil {
			return outcome{}, err
		}
		for _, c := range choices {
			if here, err = w.choose(&o, here, c, where{in: p, number: i + 1, rule: r}); err != nil {
				return outcome{}, err
			}
		}
		if here == no {
			break
		}
	}
	o.ret = max(o.ret, here)
	w.been[key] = o
	return o, nil
}

// choose adds the outcome of a verdict, and returns how well the packet may reach the
// next rule: because this one did not match, or because a jump returned.
func (w *traversal) choose(o *outcome, here level, c choice, at where) (level, error) {
	taken, not := min(here, c.likelihood.is()), min(here, c.likelihood.not().is())
	if taken == no {
		return here, nil
	}
	then, err := w.verdict(c.verdict, at)
	if err != nil {
		return no, err
	}
	if c.verdict.kind == jump {
		not = max(not, min(taken, then.ret))
		then.ret = no
	}
	o.accept, o.ret = max(o.accept, min(taken, then.accept)), max(o.ret, min(taken, then.ret))
	if dropped := min(taken, then.drop); dropped > o.drop {
		o.drop, o.where = dropped, then.where
	}
	return not, nil
}

// is returns how well it is possible that the match is true.
func (a likelihood) is() level {
	switch a {
	case never:
		return no
	case rarely:
		return barely
	default:
		return well
	}
}

// verdict returns the outcome of a verdict.
func (w *traversal) verdict(v verdict, at where) (outcome, error) {
	switch v.kind {
	case accept:
		return outcome{accept: well}, nil
	case drop, translate, untrack:
		at.kind = v.kind
		return outcome{drop: well, where: at}, nil
	case queue:
		return outcome{accept: well, drop: barely, where: at}, nil
	case returns:
		return outcome{ret: well}, nil
	case jump, gotoChain:
		o, err := w.chain(place{at.in.isLegacy, at.in.family, at.in.table, v.target})
		if err != nil {
			err = fmt.Errorf("chain %s of table %s: %w", at.in.name, at.in.table, err)
		}
		return o, err
	default:
		return outcome{ret: well}, nil
	}
}
