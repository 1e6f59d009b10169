package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// networkChains adds the chains that an entry's elements jump to. A chain that exists
// is flushed first: another program may have changed its rules.
// It cannot be deleted instead: a chain that an element jumps to is in use, and
// NFT_MSG_DELCHAIN returns EBUSY. Flush and rules are in one transaction, so packets
// are masqueraded at every moment.
//
// The exclusions are rules and not an interval set: there are few of them, and they
// are evaluated only for the first packet of a connection, and for invalid packets.
//
// With fully-random (NF_NAT_RANGE_PROTO_RANDOM_FULLY) the source port is random.
// Otherwise two connections to one destination that begin on two CPUs at the same time
// may choose the same port, and the packet of the second one is dropped.
func networkChains(c builder, t *nftables.Table, e Entry) {
	last := map[string][]ruleSpec{
		e.masquerade(): e.translations(),
		e.invalid():    {newRule(verdict(expr.VerdictDrop))},
	}
	for _, name := range []string{e.masquerade(), e.invalid()} {
		chain := c.AddChain(&nftables.Chain{Table: t, Name: name})
		c.FlushChain(chain)
		for _, p := range e.exclusions() {
			addRule(c, chain, newRule(isTo(p), verdict(expr.VerdictReturn)))
		}
		for _, r := range last[name] {
			addRule(c, chain, r)
		}
	}
}

// translations returns the last rules of the network's masquerading chain: the source
// address of each family that has one, and masquerading for the other.
func (e Entry) translations() []ruleSpec {
	var rules []ruleSpec
	masquerades := false
	for _, f := range families() {
		to := e.Outbound4
		if f == ipv6 {
			to = e.Outbound6
		}
		switch {
		case !e.has(f):
		case to.IsValid():
			rules = append(rules, newRule(snat(to, e.RandomFully)))
		default:
			masquerades = true
		}
	}
	if masquerades {
		rules = append(rules, newRule([]expr.Any{&expr.Masq{FullyRandom: e.RandomFully}}))
	}
	return rules
}

// markingChain adds the chain for an unusual mark bit, and the rule that recognises
// the bit in postrouting.
// It is not flushed, and
// the caller adds it only if it does not exist: chain marked would get a second rule
// for the same bit.
func markingChain(c builder, t *nftables.Table, e Entry) {
	chain := c.AddChain(&nftables.Chain{Table: t, Name: e.marking()})
	for _, r := range markAndTranslate(1 << e.MarkBit) {
		addRule(c, chain, r)
	}
	addRule(c, &nftables.Chain{Table: t, Name: markedChain}, marked(e.MarkBit))
}

// mostMessages is the number of chain and rule messages in one transaction: as many
// as fit into the send buffer that root of a user namespace gets (net.core.wmem_max).
const mostMessages = 1000

// allChains adds the chains of each network once.
func allChains(c *transaction, entries []Entry) error {
	made := map[string]bool{}
	isNew := func(name string) bool {
		was := made[name]
		made[name] = true
		return !was
	}
	queued := 0
	for _, e := range entries { // in the order of addChains
		if len(e.Addresses) > 0 && isNew(e.masquerade()) {
			networkChains(c.Conn, table(), e)
			queued += 2 * (len(e.exclusions()) + 3)
		}
		if e.marks() && isNew(e.marking()) {
			markingChain(c.Conn, table(), e)
		}
		if e.Egress != nil && isNew(e.egress()) {
			if err := egressChains(c.Conn, e); err != nil {
				return err
			}
			queued += e.egressMessages()
		}
		if queued < mostMessages {
			continue
		}
		queued = 0
		if err := flush(c); err != nil {
			return err
		}
	}
	return nil
}
