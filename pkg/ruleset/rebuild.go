package ruleset

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Rebuild builds the tables anew with the elements of every live attachment. It leaves a host alone that has no table, if none
// of the live records needs one: it succeeds there without nf_tables. It returns what it did, one sentence each.
func Rebuild(ctx context.Context, host *link.Host, stateDir string, live []*store.Record) (done []string, err error) {
	rules, err := nft.Open()
	if err != nil {
		return nil, err
	}
	defer rules.Close()
	if has, err := rules.HasTable(); !slices.ContainsFunc(live, IsNeeded) && (err != nil || !has) {
		return nil, nil
	}
	unlock, err := Lock(ctx, stateDir, Build)
	if err != nil {
		return nil, err
	}
	defer unlock()
	attachments := 0
	err = rules.Rebuild(func() ([]nft.Entry, error) {
		all, err := entries(host, rules, stateDir)
		attachments = 0
		for _, e := range all {
			if e.Owner != "" {
				attachments++
			}
		}
		return all, err
	})
	if err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf("table inet patchbay of nftables built anew, for %d attachments", attachments)}, nil
}

// RestoreLocalhost lets 127.0.0.1 reach published ports again, on bridges whose route_localnet was set to 0. The rule that keeps
// others from the host's 127.0.0.0/8 must exist before: call Rebuild first.
func RestoreLocalhost(host *link.Host, live []*store.Record) (done []string, err error) {
	seen := map[string]bool{}
	for _, r := range live {
		if !lacksLocalhost(r) || seen[r.RoutedBy()] {
			continue
		}
		seen[r.RoutedBy()] = true
		if failed := host.RouteLocalnet(r.RoutedBy()); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		done = append(done, fmt.Sprintf("bridge %s routes 127.0.0.0/8 again, for published ports", r.RoutedBy()))
	}
	return done, err
}

// LacksLocalhost reports whether RestoreLocalhost would change something.
func LacksLocalhost(live []*store.Record) bool { return slices.ContainsFunc(live, lacksLocalhost) }

func lacksLocalhost(r *store.Record) bool {
	return r.Publish != nil && r.Publish.Localhost && !link.RoutesLocalnet(r.RoutedBy())
}
