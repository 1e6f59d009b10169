package nft

import (
	"errors"
	"fmt"
	"slices"

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
		return []string{fmt.Sprintf("table inet %s of nftables is gone, which masquerades %s", tableName, e.Addresses)}, nil
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

// missingElements compares the chains that they lead to only where those have our names.
func (r *Ruleset) missingElements(e Entry, chains bool) ([]string, error) {
	there, err := r.find(e.elements())
	if err != nil {
		return nil, err
	}
	var lost []string
	for _, w := range e.elements() {
		i := slices.IndexFunc(there, func(t element) bool { return t.set == w.set && t.address == w.address })
		switch {
		case i < 0:
			lost = append(lost, fmt.Sprintf("map %s of nftables has lost %s . %s", w.set, w.bridge, w.address))
		case mark(there[i].comment) != mark(w.comment):
			lost = append(lost, fmt.Sprintf("map %s of nftables has %s . %s for %q", w.set, w.bridge, w.address, there[i].comment))
		case chains && there[i].chain != w.chain:
			lost = append(lost, fmt.Sprintf("map %s of nftables sends %s . %s to chain %s, not %s", w.set, w.bridge, w.address, there[i].chain, w.chain))
		}
	}
	return lost, nil
}

// missingRules counts the rules that the entry's packets meet.
func (r *Ruleset) missingRules(e Entry) ([]string, error) {
	own := len(e.exclusions()) + 1
	var lost []string
	for _, want := range []struct {
		chain string
		rules int
	}{{"forward", 2}, {"postrouting", 2}, {e.masquerade(), own}, {e.invalid(), own}} {
		body, err := named(map[uint16]string{unix.NFTA_RULE_TABLE: tableName, unix.NFTA_RULE_CHAIN: want.chain})
		if err != nil {
			return nil, err
		}
		rules, err := r.ask(unix.NFT_MSG_GETRULE, netlink.Dump, body)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return nil, fmt.Errorf("list chain %s of nftables: %w", want.chain, err)
		}
		if len(rules) != want.rules {
			lost = append(lost, fmt.Sprintf("chain %s of nftables has %d rules, not %d", want.chain, len(rules), want.rules))
		}
	}
	return lost, nil
}
