package ruleset

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// entries returns what a table that is built anew must have: the entry of every live attachment and, without an owner, those of
// bridges that protect 127.0.0.0/8 though no attachment publishes ports any more. The elements of attachments of a newer
// version must not be lost either: see checkComplete.
func entries(host *link.Host, rules *nft.Ruleset, stateDir string) ([]nft.Entry, error) {
	all, err := liveness.Records(stateDir)
	if err == nil {
		err = checkComplete(rules, all)
	}
	if err != nil {
		return nil, err
	}
	bridges, err := rules.LocalnetBridges()
	if err != nil {
		return nil, err
	}
	var wanted []nft.Entry
	live := liveness.Live(host, all)
	// Of two attachments with the same port the older one keeps it.
	slices.SortStableFunc(live, func(a, b *store.Record) int { return a.Created.Compare(b.Created) })
	for _, r := range live {
		if !r.PointToPoint() {
			bridges = append(bridges, r.RoutedBy())
		}
		if IsNeeded(r) {
			wanted = append(wanted, entryOf(r))
		}
	}
	return append(wanted, closing(bridges)...), nil
}

// closing returns the entries that keep others from the host's 127.0.0.0/8 on bridges where route_localnet would let them in. The
// setting is not reset with the last port: other programs may rely on it.
func closing(bridges []string) []nft.Entry {
	var open []nft.Entry
	slices.Sort(bridges)
	for _, bridge := range slices.Compact(bridges) {
		if link.RoutesLocalnet(bridge) {
			open = append(open, nft.Entry{Bridge: bridge, Localhost: true, MarkBit: nft.UsualMarkBit})
		}
	}
	return open
}

// checkComplete returns an error if an attachment has elements, and a record of a newer version that does not say, in the fields
// of this version, which elements.
func checkComplete(rules *nft.Ruleset, all []store.Entry) error {
	unclear := slices.DeleteFunc(slices.Clone(all), func(e store.Entry) bool {
		return !errors.Is(e.Err, store.ErrNewer) || e.Record != nil && isComplete(e.Record)
	})
	if len(unclear) == 0 {
		return nil
	}
	owners, err := rules.Owners()
	if err != nil {
		return err
	}
	for _, e := range unclear {
		mark := identity.Of(e.Key).Mark + " "
		if slices.ContainsFunc(owners, func(owner string) bool { return strings.HasPrefix(owner+" ", mark) }) {
			return fmt.Errorf("table inet patchbay of nftables stays as it is: it serves %s, whose record was %w", e.Key, e.Err)
		}
	}
	return nil
}

// isComplete reports whether a record has all fields that its elements are made from.
func isComplete(r *store.Record) bool {
	return IsNeeded(r) && r.HostLink != "" && r.Bridge != "" && r.Alias != ""
}
