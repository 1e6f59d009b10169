package nft

import (
	"errors"
	"fmt"
	stdmaps "maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Missing returns what an entry lacks in the ruleset, one clause each, or nothing if
// it is as Publish left it. It changes nothing. It reads again if the ruleset changed
// meanwhile, so that a table which is just being rebuilt is not reported.
func (r *Ruleset) Missing(e Entry) ([]string, error) {
	var lost []string
	_, err := r.conn.ReadConsistently(func() (final bool, err error) {
		lost, err = r.missing(e)
		return len(lost) == 0, err
	})
	if nfnl.IsUnsupported(err) {
		return []string{ErrUnsupported.Error()}, nil
	}
	return lost, err
}

// missing reads and compares once. The rules of an older version stay in use until the
// next ADD: of these only the elements are compared. The rules of a newer version are
// unknown to this binary: nothing is compared.
func (r *Ruleset) missing(e Entry) ([]string, error) {
	built, err := r.built()
	if errors.Is(err, ErrForeign) || errors.Is(err, ErrUnsupported) {
		return []string{err.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	if built == 0 {
		return []string{tableGone(e)}, nil
	}
	if built > Schema() {
		return nil, nil // this binary does not know the rules of a newer version
	}
	lost, err := r.missingElements(e, built == Schema())
	if err != nil || len(lost) > 0 || built < Schema() {
		return lost, err
	}
	return r.missingRules(e)
}

// describe returns what an entry has in the table, for error messages.
func (e Entry) describe() string {
	var all []string
	if len(e.Addresses) > 0 {
		all = append(all, "masquerading of "+e.addressList())
	}
	if len(e.Ports) > 0 {
		all = append(all, fmt.Sprintf("the published ports of %s", e.Ports[0].Container.Addr()))
	}
	if e.Isolation != NotIsolated {
		all = append(all, "the isolation of bridge "+e.Bridge)
	}
	if e.Egress != nil {
		all = append(all, "the restriction of connections (egress) of "+e.HostInterface)
	}
	if e.SpoofCheck != nil {
		all = append(all, "the spoof check of "+e.HostInterface)
	}
	return strings.Join(all, ", ")
}

// addressList returns the masqueraded addresses for a message, without the prefix lengths of their subnets.
func (e Entry) addressList() string {
	var list []string
	for _, p := range e.Addresses {
		list = append(list, p.Addr().String())
	}
	return strings.Join(list, " and ")
}

// missingElements compares elements. Target chains are compared only if chains: those
// of another version have other names.
func (r *Ruleset) missingElements(e Entry, chains bool) ([]string, error) {
	want := append(e.elements(), e.shared()...)
	found, err := r.find(want)
	if err != nil {
		return nil, err
	}
	there := map[string]element{}
	for _, t := range found {
		there[t.set+" "+t.key] = t
	}
	return lostElements(want, there, chains), nil
}

// lostElements compares the wanted elements with those found, by set and key.
func lostElements(want []element, there map[string]element, chains bool) []string {
	var lost []string
	for _, w := range want {
		t, has := there[w.set+" "+w.key]
		switch {
		case !has:
			lost = append(lost, fmt.Sprintf("map %s of nftables lacks %s", w.set, w.text()))
		case ownerID(t.comment) != ownerID(w.comment) && w.comment != "":
			lost = append(lost, fmt.Sprintf("map %s of nftables has %s with owner %q", w.set, w.text(), t.comment))
		case chains && t.chain != w.chain:
			lost = append(lost, fmt.Sprintf("map %s of nftables maps %s to chain %s, not %s", w.set, w.text(), t.chain, w.chain))
		case t.target != w.target:
			lost = append(lost, fmt.Sprintf("map %s of nftables maps %s to another container", w.set, w.text()))
		}
	}
	return limited(lost)
}

// limited returns the first ten messages and the number of the rest.
func limited(sentences []string) []string {
	const most = 10
	if len(sentences) <= most {
		return sentences
	}
	return append(sentences[:most:most], fmt.Sprintf("and %d more elements of nftables", len(sentences)-most))
}

// missingRules counts the rules of the chains that the entry's packets pass. It does
// not compare expressions: a rule that another program edited in place is not
// detected.
// Comparing them would be wrong for some kernels: a rule is returned as it was
// encoded, with attributes that newer versions of the kernel add. The number finds the cases that
// happen, a flushed chain and a deleted or inserted rule.
func (r *Ruleset) missingRules(e Entry) ([]string, error) {
	want, got := e.rules(), map[string]int{}
	for chain := range want {
		n, err := r.countRules(familyInet, chain)
		if err != nil {
			return nil, err
		}
		got[chain] = n
	}
	lost := lostRules(want, got)
	if e.onBridge() {
		got, err := r.rulesOf(familyBridge)
		if err != nil {
			return nil, err
		}
		lost = append(lost, e.lostBridgeRules(got)...)
	}
	return lost, nil
}

// skeletonRules returns the number of rules of each chain of the skeleton.
var skeletonRules = sync.OnceValue(func() map[string]int {
	count := map[string]int{}
	for _, chain := range skeletonChains() {
		count[chain.Name] = len(chain.rules)
	}
	return count
})

// rules returns the number of rules of each chain that the entry's packets pass.
func (e Entry) rules() map[string]int {
	want := stdmaps.Clone(skeletonRules())
	if len(e.Addresses) > 0 {
		want[e.masquerade()], want[e.invalid()] = len(e.exclusions())+len(e.translations()), len(e.exclusions())+1
	}
	if e.Egress != nil {
		want[e.egress()] = e.egressRules(familyInet)
	}
	if e.marks() {
		want[e.marking()] = len(markAndTranslate(0))
	}
	return want
}

// lostRules compares the number of rules of each chain. The chain of mark bits has
// one rule for each bit in use on the host, so it may have more than this entry
// needs.
func lostRules(want, got map[string]int) []string {
	var lost []string
	for _, chain := range slices.Sorted(stdmaps.Keys(want)) {
		if got[chain] != want[chain] && (chain != markedChain || got[chain] < want[chain]) {
			lost = append(lost, fmt.Sprintf("chain %s of nftables has %d rules, not %d", chain, got[chain], want[chain]))
		}
	}
	return lost
}

// lostBridgeRules is lostRules for the table of the bridge family.
func (e Entry) lostBridgeRules(got map[string]int) []string {
	want := map[string]int{}
	for _, chain := range bridgeChains() {
		want[chain.Name] = len(chain.rules)
	}
	if e.Egress != nil {
		want[e.egress()] = e.egressRules(familyBridge)
	}
	var lost []string
	for _, chain := range slices.Sorted(stdmaps.Keys(want)) {
		if got[chain] != want[chain] {
			lost = append(lost, fmt.Sprintf("chain %s of table bridge %s of nftables has %d rules, not %d", chain, tableName, got[chain], want[chain]))
		}
	}
	return lost
}

// countRules returns the number of rules of a chain; 0 if it does not exist.
func (r *Ruleset) countRules(family tableFamily, chain string) (int, error) {
	rules, err := r.listRules(family, map[uint16]string{unix.NFTA_RULE_TABLE: tableName, unix.NFTA_RULE_CHAIN: chain})
	if err != nil {
		return 0, fmt.Errorf("list chain %s of nftables: %w", chain, err)
	}
	return len(rules), nil
}

// listRules lists the rules of a table or of one chain; none if it does not exist.
func (r *Ruleset) listRules(family tableFamily, names map[uint16]string) ([]nlsock.Message, error) {
	body, err := named(names)
	if err != nil {
		return nil, err
	}
	rules, err := r.ask(unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, byte(family), body)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	return rules, err
}
