package nft

import (
	"errors"
	"fmt"
	stdmaps "maps"
	"slices"
	"strings"
	"sync"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Missing says what an entry has lost, one sentence each; nothing if all is as Publish left it. It
// changes nothing. What was missing only because somebody was building the table anew, between one
// look and the next, it looks for again.
func (r *Ruleset) Missing(e Entry) ([]string, error) {
	const looks = 10
	for look := 1; ; look++ {
		var lost []string
		var failed error
		steady, err := r.steady(func() error {
			lost, failed = r.missing(e)
			return nil
		})
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
			return []string{ErrUnsupported.Error()}, nil
		}
		if err != nil {
			return nil, err
		}
		if steady || len(lost) == 0 && failed == nil || look == looks {
			return lost, failed
		}
	}
}

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
		return nil, nil // a newer patchbay's, whose form this one cannot judge
	}
	lost, err := r.missingElements(e, built == Schema())
	if err != nil || len(lost) > 0 || built < Schema() {
		return lost, err // the rules of an older one serve until the next ADD builds ours
	}
	return r.missingRules(e)
}

// serves says what an entry has in the table, for a person.
func (e Entry) serves() string {
	var all []string
	if len(e.Addresses) > 0 {
		all = append(all, fmt.Sprintf("the masquerade of %s", e.Addresses))
	}
	if len(e.Ports) > 0 {
		all = append(all, fmt.Sprintf("the published ports of %s", e.Ports[0].Container.Addr()))
	}
	if e.Isolation != NotKept {
		all = append(all, "the isolation of bridge "+e.Bridge)
	}
	return strings.Join(all, ", ")
}

// missingElements compares the chains that they lead to only where those have our names.
func (r *Ruleset) missingElements(e Entry, chains bool) ([]string, error) {
	wanted := append(e.elements(), e.shared()...)
	found, err := r.find(wanted)
	if err != nil {
		return nil, err
	}
	there := map[string]element{}
	for _, t := range found {
		there[t.set+" "+t.key] = t
	}
	return lostElements(wanted, there, chains), nil
}

// lostElements compares with what is there, by set and key.
func lostElements(wanted []element, there map[string]element, chains bool) []string {
	var lost []string
	for _, w := range wanted {
		t, has := there[w.set+" "+w.key]
		switch {
		case !has:
			lost = append(lost, fmt.Sprintf("map %s of nftables has lost %s", w.set, w.text()))
		case mark(t.comment) != mark(w.comment) && w.comment != "":
			lost = append(lost, fmt.Sprintf("map %s of nftables has %s for %q", w.set, w.text(), t.comment))
		case chains && t.chain != w.chain:
			lost = append(lost, fmt.Sprintf("map %s of nftables sends %s to chain %s, not %s", w.set, w.text(), t.chain, w.chain))
		case t.target != w.target:
			lost = append(lost, fmt.Sprintf("map %s of nftables sends %s to another container", w.set, w.text()))
		}
	}
	return few(lost)
}

// few leaves the first of many sentences, and says how many there are.
func few(sentences []string) []string {
	const most = 10
	if len(sentences) <= most {
		return sentences
	}
	return append(sentences[:most:most], fmt.Sprintf("and %d more elements of nftables", len(sentences)-most))
}

// missingRules counts the rules that the entry's packets meet.
func (r *Ruleset) missingRules(e Entry) ([]string, error) {
	wanted, got := e.rules(), map[string]int{}
	for chain := range wanted {
		n, err := r.countRules(header(), chain)
		if err != nil {
			return nil, err
		}
		got[chain] = n
	}
	lost := lostRules(wanted, got)
	if e.Isolation == Isolated {
		got, err := r.countRules(bridgeHeader(), "forward")
		if err != nil {
			return nil, err
		}
		lost = append(lost, lostBridgeRules(got)...)
	}
	return lost, nil
}

// skeletonRules are how many each chain of the skeleton has.
var skeletonRules = sync.OnceValue(func() map[string]int {
	count := map[string]int{}
	for _, chain := range skeletonChains() {
		count[chain.Name] = len(chain.rules)
	}
	return count
})

// rules are how many each chain has that the entry's packets meet.
func (e Entry) rules() map[string]int {
	wanted := stdmaps.Clone(skeletonRules())
	if len(e.Addresses) > 0 {
		wanted[e.masquerade()], wanted[e.invalid()] = len(e.exclusions())+1, len(e.exclusions())+1
	}
	if e.marks() {
		wanted[e.marking()] = len(markAndTranslate(0))
	}
	return wanted
}

func lostRules(wanted, got map[string]int) []string {
	var lost []string
	for _, chain := range slices.Sorted(stdmaps.Keys(wanted)) {
		if got[chain] != wanted[chain] && (chain != markedChain || got[chain] < wanted[chain]) { // which has one for each bit
			lost = append(lost, fmt.Sprintf("chain %s of nftables has %d rules, not %d", chain, got[chain], wanted[chain]))
		}
	}
	return lost
}

func lostBridgeRules(got int) []string {
	want := len(bridgeChains()[0].rules)
	if got == want {
		return nil
	}
	return []string{fmt.Sprintf("chain forward of table bridge %s of nftables has %d rules, not %d", tableName, got, want)}
}

// countRules counts those of a chain in the table of a family; none where that is not there.
func (r *Ruleset) countRules(of []byte, chain string) (int, error) {
	rules, err := r.listRules(of, map[uint16]string{unix.NFTA_RULE_TABLE: tableName, unix.NFTA_RULE_CHAIN: chain})
	if err != nil {
		return 0, fmt.Errorf("list chain %s of nftables: %w", chain, err)
	}
	return len(rules), nil
}

// listRules are those of a table of a family, or of one of its chains; none where that is not there.
func (r *Ruleset) listRules(of []byte, names map[uint16]string) ([]netlink.Message, error) {
	body, err := named(names)
	if err != nil {
		return nil, err
	}
	copy(body, of)
	rules, err := r.ask(unix.NFT_MSG_GETRULE, netlink.Dump, body)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	return rules, err
}
