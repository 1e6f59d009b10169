package firewall_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
)

// Drops finds the drops of a table that is replaced all the time: chains disappear between two requests.
//
// Claim: Such rules are found whatever the ruleset's size, and while it changes
func TestDropsWhileATableIsReplaced(t *testing.T) {
	t.Parallel()
	h := host(t)
	rules := forward("drop", `jump one`, `chain three { iifname "cni0" drop; }`, `chain two { jump three; }`, `chain one { jump two; }`)
	load(t, h, rules)
	var replacing sync.WaitGroup
	done := make(chan struct{})
	replacing.Go(func() {
		defer close(done)
		for range 40 {
			c := h.Command("nft", "-f", "-")
			c.Stdin = strings.NewReader("flush ruleset\n" + rules)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
	})
	reads := 0
	for ended := false; !ended; reads++ {
		h.Do(func() {
			f, err := firewall.Open()
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			all, err := f.Drops(usual())
			if want := kinds(leaving, returning, published, neighbours); err != nil || verdicts(all) != want {
				t.Errorf("read %d: %s, %v", reads, verdicts(all), err)
			}
		})
		select {
		case <-done:
			ended = true
		default:
		}
	}
	replacing.Wait()
	t.Logf("%d reads while the table was replaced 40 times", reads)
}

// The error wraps ErrBusy if the ruleset changed during each read, whether the reads succeeded or failed, and
// whatever their error was. Without a change it is the error of the read alone.
func TestReadConsistently(t *testing.T) {
	t.Parallel()
	h := host(t)
	tables := 0
	for _, tc := range []struct {
		name            string
		changes, equal  bool
		failed          error
		reads           int
		isBusy, isFound bool
	}{
		{name: "no change", reads: 1, isFound: true},
		{name: "read fails without a change", failed: unix.ENOENT, reads: 1},
		{name: "change during each read, equal results", changes: true, equal: true, reads: 2, isFound: true},
		{name: "change during each read, different results", changes: true, reads: 10, isBusy: true},
		{name: "change during each read, which fails with ENOENT", changes: true, failed: unix.ENOENT, reads: 10, isBusy: true},
		{name: "change during each read, which fails with EINTR", changes: true, failed: unix.EINTR, reads: 10, isBusy: true},
	} {
		h.Do(func() {
			f, err := firewall.Open()
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			reads := 0
			found, err := firewall.ReadConsistently(f, func() ([]firewall.Drop, error) {
				reads++
				if tc.changes {
					tables++
					if out, err := h.Command("nft", "add table ip t"+fmt.Sprint(tables)).CombinedOutput(); err != nil {
						t.Errorf("%v: %s", err, out)
					}
				}
				if tc.failed != nil {
					return nil, fmt.Errorf("list chain: %w", tc.failed)
				}
				if tc.equal {
					return []firewall.Drop{{}}, nil
				}
				return []firewall.Drop{{Chain: fmt.Sprint(reads)}}, nil
			})
			isFound := err == nil && len(found) == 1
			if reads != tc.reads || errors.Is(err, firewall.ErrBusy) != tc.isBusy || isFound != tc.isFound || tc.failed != nil && !errors.Is(err, tc.failed) {
				t.Errorf("%s: %d reads, found %v, %v", tc.name, reads, found, err)
			}
		})
	}
}
