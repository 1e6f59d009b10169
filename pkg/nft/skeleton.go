package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
)

const (
	tableName   = "patchbay"
	schemaChain = "schema_" // and the version
	version     = 2

	publishChain = "publish"
	markedChain  = "marked"
)

// newer makes the version of the skeleton one higher for each of its characters. The linker sets it
// (-X) for test/versions, where two versions of patchbay take turns; it is empty everywhere else.
var newer string

// Schema is the version of the skeleton that this patchbay builds and knows.
func Schema() int { return version + len(newer) }

func table() *nftables.Table {
	return &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
}

// bridgeTable is where frames are judged that no router sees. It is there if a network needs it.
func bridgeTable() *nftables.Table {
	return &nftables.Table{Name: tableName, Family: nftables.TableFamilyBridge}
}

// chainOf is a chain of the skeleton with its rules.
type chainOf struct {
	nftables.Chain
	rules []ruleOf
}

// ruleOf is a rule: its expressions, and for a person what it is for.
type ruleOf struct {
	comment string
	parts   [][]expr.Any
}

func do(parts ...[]expr.Any) ruleOf { return ruleOf{parts: parts} }

func (r ruleOf) because(comment string) ruleOf {
	r.comment = comment
	return r
}

// skeletonChains are what is the same on every host, the chains that others lead to first.
func skeletonChains() []chainOf {
	return []chainOf{
		{Chain: nftables.Chain{Name: "translate"}, rules: translate()},
		{Chain: nftables.Chain{Name: publishChain}, rules: publish()},
		{Chain: nftables.Chain{Name: "hairpin"}, rules: hairpin()},
		{Chain: nftables.Chain{Name: markedChain}, rules: []ruleOf{marked(UsualMarkBit)}},
		{Chain: base("localnet", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw), rules: []ruleOf{
			do(iifnameIn("localnet"), isTo(loopback4()), verdict(expr.VerdictDrop)).because("what route_localnet would let in"),
		}},
		{Chain: base("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest), rules: toTheHost()},
		{Chain: base("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest), rules: toTheHost()},
		{Chain: base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter), rules: forward()},
		{Chain: base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource), rules: postrouting()},
	}
}

// bridgeChains are those of the bridge family's table.
func bridgeChains() []chainOf {
	return []chainOf{
		{Chain: base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityRef(-200)), rules: []ruleOf{
			do(bothIfnames(), lookup(portsSelf), verdict(expr.VerdictAccept)).because("a container by its own port"),
			do(iifnameIn(portsApart), oifnameIn(portsApart), verdict(expr.VerdictDrop)).because("containers of an isolated network"),
		}},
	}
}

func base(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) nftables.Chain {
	accept := nftables.ChainPolicyAccept
	return nftables.Chain{Name: name, Type: kind, Hooknum: hook, Priority: priority, Policy: &accept}
}

func toTheHost() []ruleOf {
	return []ruleOf{do(isToTheHost(), jump(publishChain))}
}

// publish marks what it translates on its way, so that postrouting knows it from what others have
// translated. A packet whose bit somebody has set keeps it.
func publish() []ruleOf {
	bit := uint32(1) << UsualMarkBit
	rules := []ruleOf{
		do(isTo(loopback6()), verdict(expr.VerdictReturn)).because("no answer would be delivered there"),
	}
	for _, is4 := range []bool{true, false} {
		rules = append(rules,
			do(key(is4, addrAndPort), lookupVerdict("mark"+family(is4)+"_addr")),
			do(key(is4, portOnly), lookupVerdict("mark"+family(is4))),
		)
	}
	return append(rules, markAndTranslate(bit)...)
}

// markAndTranslate ends with the mark as it was, if nothing was translated.
func markAndTranslate(bit uint32) []ruleOf {
	return []ruleOf{
		do(hasMark(bit), gotoChain("translate")).because("somebody else's bit stays"),
		do(setMark(^bit, bit)),
		do(jump("translate")),
		do(setMark(^bit, 0)).because("not ours after all"),
	}
}

func translate() []ruleOf {
	var rules []ruleOf
	for _, is4 := range []bool{true, false} {
		rules = append(rules,
			do(key(is4, addrAndPort), lookupTarget("publish"+family(is4)+"_addr"), dnat(is4)),
			do(key(is4, portOnly), lookupTarget("publish"+family(is4)), dnat(is4)),
		)
	}
	return rules
}

func marked(bitNumber int) ruleOf {
	return do(hasMark(1<<bitNumber), gotoChain("hairpin")).because("by a port that patchbay published")
}

// hairpin is for packets that come by a published port: those whose answers would find another way,
// or none, get the host's address.
func hairpin() []ruleOf {
	var rules []ruleOf
	for _, is4 := range []bool{true, false} {
		rules = append(rules, do(oifnameAndDestination(is4), lookup("plain"+family(is4)), verdict(expr.VerdictReturn)).because("snat: false"))
	}
	for _, is4 := range []bool{true, false} {
		rules = append(rules, do(oifnameAndDestination(is4), lookup("all"+family(is4)), masquerade()).because("masqAll: true"))
	}
	return append(rules,
		do(bothIfnames(), lookup("intra"), masquerade()).because("from a neighbour"),
		do(isFrom(loopback4()), masquerade()).because("from the host by 127.0.0.1"),
	)
}

func forward() []ruleOf {
	var rules []ruleOf
	for _, is4 := range []bool{true, false} {
		rules = append(rules, do(isInvalid(), byBridgeAndSource(is4, "invalid"+family(is4))).because("of no connection: nothing would give it the host's address"))
	}
	for _, is4 := range []bool{true, false} {
		rules = append(rules, do(oifnameAndBoth(is4), lookup("self"+family(is4)), verdict(expr.VerdictAccept)).because("a container by its own port"))
	}
	return append(rules,
		do(bothIfnames(), lookup("apart"), verdict(expr.VerdictDrop)).because("neighbours of an isolated network"),
		do(isDNATed(), verdict(expr.VerdictAccept)).because("published"),
		do(bothIfnames(), lookup("intra"), verdict(expr.VerdictAccept)),
		do(iifnameIn("isolated"), oifnameIn("isolated"), verdict(expr.VerdictDrop)).because("networks that are not open"),
	)
}

func postrouting() []ruleOf {
	rules := []ruleOf{do(jump(markedChain))}
	for _, is4 := range []bool{true, false} {
		rules = append(rules, do(oifnameAndBoth(is4), lookup("self"+family(is4)), masquerade()).because("a container by its own port"))
	}
	for _, is4 := range []bool{true, false} {
		rules = append(rules, do(byBridgeAndSource(is4, "masq"+family(is4))).because("containers that leave with the host's address"))
	}
	return rules
}

// skeleton adds what is the same on every host: the version, sets and maps, and the chains.
func skeleton(c *nftables.Conn, t *nftables.Table, schema string) error {
	c.AddChain(&nftables.Chain{Table: t, Name: schema})
	isBridge := t.Family == nftables.TableFamilyBridge
	for _, s := range shapes() {
		if s.bridge != isBridge {
			continue
		}
		if err := c.AddSet(s.set(t), nil); err != nil {
			return err
		}
	}
	chains := skeletonChains()
	if isBridge {
		chains = bridgeChains()
	}
	for _, chain := range chains {
		made := chain.Chain
		made.Table = t
		c.AddChain(&made)
		for _, r := range chain.rules {
			rule(c, &made, r)
		}
	}
	return nil
}

func rule(c *nftables.Conn, chain *nftables.Chain, of ruleOf) {
	r := &nftables.Rule{Table: chain.Table, Chain: chain}
	for _, part := range of.parts {
		r.Exprs = append(r.Exprs, part...)
	}
	if of.comment != "" {
		r.UserData = userdata.AppendString(nil, userdata.TypeComment, of.comment)
	}
	c.AddRule(r)
}
