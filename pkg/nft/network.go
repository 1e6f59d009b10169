package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// networkChains adds the chains that an entry's elements lead to. Those that masquerade hold these
// rules or, if somebody has edited them, get them again.
func networkChains(c *nftables.Conn, t *nftables.Table, e Entry) {
	last := map[string][]expr.Any{
		e.masquerade(): {&expr.Masq{FullyRandom: e.RandomFully}},
		e.invalid():    verdict(expr.VerdictDrop),
	}
	for _, name := range []string{e.masquerade(), e.invalid()} {
		chain := c.AddChain(&nftables.Chain{Table: t, Name: name})
		c.FlushChain(chain)
		for _, p := range e.exclusions() {
			rule(c, chain, do(isTo(p), verdict(expr.VerdictReturn)))
		}
		rule(c, chain, do(last[name]))
	}
}

// markingChain adds the chain for an unusual bit of the mark, and the rule that knows the bit again.
func markingChain(c *nftables.Conn, t *nftables.Table, e Entry) {
	chain := c.AddChain(&nftables.Chain{Table: t, Name: e.marking()})
	for _, r := range markAndTranslate(1 << e.MarkBit) {
		rule(c, chain, r)
	}
	rule(c, &nftables.Chain{Table: t, Name: markedChain}, marked(e.MarkBit))
}
