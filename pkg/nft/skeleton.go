package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

const (
	tableName   = "patchbay"
	schemaChain = "schema_" // and the version
	version     = 4

	publishChain = "publish"
	markedChain  = "marked"
)

// newer raises the version of the skeleton by its length. The linker sets it (-X) for
// test/faults/versions, where two versions of Patchbay run alternately; otherwise it
// is empty.
var newer string

// Schema returns the version of the skeleton that this binary builds and understands.
func Schema() int { return version + len(newer) }

// tableFamily is the address family of one of the two tables (unix.NFPROTO_*).
type tableFamily byte

const (
	familyInet   tableFamily = unix.NFPROTO_INET
	familyBridge tableFamily = unix.NFPROTO_BRIDGE
)

// String returns the name that nft(8) has for the family.
func (f tableFamily) String() string {
	if f == familyBridge {
		return "bridge"
	}
	return "inet"
}

// table returns table inet patchbay: routed packets of both families.
func table() *nftables.Table {
	return &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
}

// bridgeTable returns table bridge patchbay, for frames that are bridged and never
// routed. It exists only if a network needs it: a bridge-family chain at a hook costs
// every frame of every bridge of the host.
// It has filter chains only: nf_tables has no NAT for the bridge family, and
// connection tracking of that family needs Linux 5.3 and module nf_conntrack_bridge,
// so its rules compare interfaces and headers alone.
func bridgeTable() *nftables.Table {
	return &nftables.Table{Name: tableName, Family: nftables.TableFamilyBridge}
}

// chainSpec is a chain of the skeleton with its rules.
type chainSpec struct {
	nftables.Chain
	rules []ruleSpec
}

// ruleSpec is a rule: its comment and its expressions.
type ruleSpec struct {
	text  string // its comment
	parts [][]expr.Any
}

// newRule returns a rule without comment.
func newRule(parts ...[]expr.Any) ruleSpec { return ruleSpec{parts: parts} }

// comment returns the rule with a comment, which `nft list` prints.
func (r ruleSpec) comment(comment string) ruleSpec {
	r.text = comment
	return r
}

// skeletonChains returns the chains that are the same on every host; a chain that
// others jump to comes before them, because the kernel resolves a jump when the rule
// is added.
// The order at each hook follows from the priorities of linux/netfilter_ipv4.h: raw
// (-300), conntrack (-200), dstnat (-100), filter (0), srcnat (100). Chain localnet is
// at raw, so that a packet which it drops creates no flow. The chains of type nat are
// evaluated for the first packet of a connection only; the translation that they
// choose is part of the flow, and all other packets of the flow are translated
// without a rule. So the number of rules there does not affect the throughput, and
// changes of the maps do not affect existing connections (see pkg/conntrack).
func skeletonChains() []chainSpec {
	return []chainSpec{
		{Chain: nftables.Chain{Name: "translate"}, rules: translate()},
		{Chain: nftables.Chain{Name: publishChain}, rules: publish()},
		{Chain: nftables.Chain{Name: "hairpin"}, rules: hairpin()},
		{Chain: nftables.Chain{Name: markedChain}, rules: []ruleSpec{marked(UsualMarkBit)}},
		{Chain: nftables.Chain{Name: egressChain}, rules: egressOfHost()},
		{Chain: nftables.Chain{Name: answersOnlySet}, rules: answersOnly()},
		{Chain: base("localnet", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw), rules: []ruleSpec{
			newRule(iifnameIn("localnet"), isTo(loopback4()), verdict(expr.VerdictDrop)).comment("to a loopback address, which route_localnet admits"),
			newRule(iifnameIn("localnet"), isFrom(loopback4()), verdict(expr.VerdictDrop)).comment("from a loopback address, which route_localnet admits"),
		}},
		{Chain: base("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest), rules: fromOutside()},
		{Chain: base("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest), rules: toTheHost()},
		{Chain: base("input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter), rules: []ruleSpec{newRule(jump(egressChain))}},
		{Chain: base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter), rules: forward()},
		{Chain: base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource), rules: postrouting()},
	}
}

// bridgeChains returns the chains of the bridge family's table. Priority -200 is
// before br_netfilter's hooks and after the spoof check.
// In this family br_netfilter has priority 0
// (NF_BR_PRI_BRNF of linux/netfilter_bridge.h).
func bridgeChains() []chainSpec {
	return append(spoofChains(), chainSpec{
		Chain: base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityRef(-200)), rules: []ruleSpec{
			newRule(bothIfnames(), lookup(portsSelf), verdict(expr.VerdictAccept)).comment("a container through its own published port"),
			newRule(iifnameIn(portsApart), oifnameIn(portsApart), verdict(expr.VerdictDrop)).comment("containers of an isolated network"),
			newRule(iifname(), lookupVerdict(egressPorts)).comment("what containers may open"),
		},
	})
}

// base returns a base chain with policy accept.
// A drop of any base chain is final, whereas an accept ends only its own chain: with
// another policy this table would decide about packets of other programs.
func base(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) nftables.Chain {
	accept := nftables.ChainPolicyAccept
	return nftables.Chain{Name: name, Type: kind, Hooknum: hook, Priority: priority, Policy: &accept}
}

// fromOutside returns the rules of prerouting. Ports published on a loopback address
// are for the host alone: destination NAT in prerouting comes before routing, where
// the kernel drops packets from outside to a loopback address (martians).
func fromOutside() []ruleSpec {
	const why = "a port on a loopback address is for the host alone"
	return append([]ruleSpec{
		newRule(isTo(loopback4()), verdict(expr.VerdictReturn)).comment(why),
		newRule(isTo(loopback6()), verdict(expr.VerdictReturn)).comment(why),
	}, toTheHost()...)
}

// toTheHost returns the rule that looks up published ports for packets to a local
// address.
func toTheHost() []ruleSpec {
	return []ruleSpec{newRule(isToTheHost(), jump(publishChain))}
}

// publish returns the rules that translate published ports. They set a mark bit while
// the packet is on its way, so that postrouting distinguishes it from packets that
// others translated. A bit that is set already is kept.
// The rule for ::1 ends without translation: there is no route_localnet for IPv6. The
// maps mark4 and mark6 are consulted before the mark is set: an element exists only
// for a port of a network with another markMasqBit, and its verdict is goto and not
// jump, so that the rules for the usual bit are not evaluated as well.
func publish() []ruleSpec {
	bit := uint32(1) << UsualMarkBit
	rules := []ruleSpec{
		newRule(isTo(loopback6()), verdict(expr.VerdictReturn)).comment("a reply could not be routed"),
	}
	for _, f := range families() {
		rules = append(rules,
			newRule(key(f, addrAndPort), lookupVerdict("mark"+f.String()+"_addr")),
			newRule(key(f, portOnly), lookupVerdict("mark"+f.String())),
		)
	}
	return append(rules, markAndTranslate(bit)...)
}

// markAndTranslate returns the rules that set the mark bit and translate; they clear
// it if nothing was translated. A dnat statement ends the evaluation, so the last
// rule only runs without translation.
// The mark is set before the lookup, because nothing is evaluated after dnat. It could
// not be set in postrouting: there a packet that kube-proxy translated looks the same,
// and masquerading it would hide the client's address from the backend.
func markAndTranslate(bit uint32) []ruleSpec {
	return []ruleSpec{
		newRule(hasMark(bit), gotoChain("translate")).comment("keep a bit that another program set"),
		newRule(setMark(^bit, bit)),
		newRule(jump("translate")),
		newRule(setMark(^bit, 0)).comment("nothing was translated"),
	}
}

// translate returns the rules with the maps of published ports: a port of one address
// before the port of all.
// bind(2) has the same order: a socket bound to an address gets the packet before one
// bound to the wildcard. Publish refuses such a pair of different owners; within one
// attachment both may exist.
func translate() []ruleSpec {
	var rules []ruleSpec
	for _, f := range families() {
		rules = append(rules,
			newRule(key(f, addrAndPort), lookupTarget("publish"+f.String()+"_addr"), dnat(f)),
			newRule(key(f, portOnly), lookupTarget("publish"+f.String()), dnat(f)),
		)
	}
	return rules
}

// marked returns the rule of postrouting for packets with a mark bit.
func marked(bitNumber int) ruleSpec {
	return newRule(hasMark(1<<bitNumber), gotoChain("hairpin")).comment("to a port that patchbay published")
}

// hairpin returns the rules for packets to a published port. Packets whose replies
// would otherwise bypass the host, or could not be routed, are masqueraded.
// The rules are in this order because the first match decides: an attachment's own
// setting (snat, masqAll) before what follows from the path. A client on the bridge of
// the container sends to the host, and would get the reply from the container
// directly, with an address to which it has no connection.
func hairpin() []ruleSpec {
	var rules []ruleSpec
	for _, f := range families() {
		rules = append(rules, newRule(oifnameAndDestination(f), lookup("plain"+f.String()), verdict(expr.VerdictReturn)).comment("snat: false"))
	}
	for _, f := range families() {
		rules = append(rules, newRule(oifnameAndDestination(f), lookup("all"+f.String()), masquerade()).comment("masqAll: true"))
	}
	return append(rules,
		newRule(bothIfnames(), lookup("intra"), masquerade()).comment("from a container on the same bridge"),
		newRule(isFrom(loopback4()), masquerade()).comment("from the host, from 127.0.0.1"),
	)
}

// forward returns the rules of the forward chain. Its verdict accept ends this chain
// only: a drop in the chain of another table still applies.
// Destinations are compared after their translation. Chain egress is therefore before
// the rule for published ports, by which a container could reach any other one.
func forward() []ruleSpec {
	var rules []ruleSpec
	for _, f := range families() {
		rules = append(rules, newRule(isInvalid(), byBridgeAndSource(f, "invalid"+f.String())).comment("invalid: it would not be masqueraded"))
	}
	for _, f := range families() {
		rules = append(rules, newRule(oifnameAndBoth(f), lookup("self"+f.String()), isDNATed(), verdict(expr.VerdictAccept)).comment("a container through its own published port"))
	}
	return append(rules,
		newRule(jump(egressChain)),
		newRule(bothIfnames(), lookup("apart"), verdict(expr.VerdictDrop)).comment("containers of one isolated network"),
		newRule(isDNATed(), verdict(expr.VerdictAccept)).comment("to a published port"),
		newRule(bothIfnames(), lookup("intra"), verdict(expr.VerdictAccept)),
		newRule(iifnameIn("isolated"), oifnameIn("isolated"), verdict(expr.VerdictDrop)).comment("between isolated networks"),
		newRule(oifnameIn(answersOnlySet), gotoChain(answersOnlySet)),
	)
}

// postrouting returns the rules of the postrouting chain.
// Packets to published ports come first: their masquerading depends on the receiver,
// and the source of such a packet may be a masqueraded container of the same host.
func postrouting() []ruleSpec {
	rules := []ruleSpec{newRule(jump(markedChain))}
	for _, f := range families() {
		rules = append(rules, newRule(oifnameAndBoth(f), lookup("self"+f.String()), masquerade()).comment("a container through its own published port"))
	}
	for _, f := range families() {
		rules = append(rules, newRule(byBridgeAndSource(f, "masq"+f.String())).comment("masqueraded containers"))
	}
	return rules
}

// skeleton adds what is the same on every host to a table: the version, sets and
// maps, and the chains.
// All of it is one transaction: a packet is evaluated with the chains of before or of
// after, and a reader never finds a table without the version. Sets come before the
// chains whose rules look them up, as nf_tables resolves names when a rule is added.
func skeleton(c builder, t *nftables.Table, schema string) error {
	c.AddChain(&nftables.Chain{Table: t, Name: schema})
	isBridge := t.Family == nftables.TableFamilyBridge
	for _, s := range setSpecs() {
		if s.bridge != isBridge {
			continue
		}
		if err := c.AddSet(s.declare(t), nil); err != nil {
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
			addRule(c, &made, r)
		}
	}
	return nil
}

// addRule appends a rule to a chain.
// The comment is user data, which the kernel stores and returns without reading it;
// nft(8) prints it. The user data of an element has the same form.
func addRule(c builder, chain *nftables.Chain, of ruleSpec) {
	r := &nftables.Rule{Table: chain.Table, Chain: chain}
	for _, part := range of.parts {
		r.Exprs = append(r.Exprs, part...)
	}
	if of.text != "" {
		r.UserData = userdata.AppendString(nil, userdata.TypeComment, of.text)
	}
	c.AddRule(r)
}
