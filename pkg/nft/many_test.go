package nft_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
)

const many = 30

// concurrently calls run many times at once in the host, each time on another thread and with another socket, as
// separate processes do.
func concurrently(t *testing.T, h *nettest.Node, run func(i int, r *nft.Ruleset) error) {
	t.Helper()
	netns := -1
	err := inHost(h, func() (err error) {
		netns, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(netns)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	errs := make([]error, many)
	ready.Add(many)
	for i := range many {
		done.Go(func() {
			runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
			err := unix.Setns(netns, unix.CLONE_NEWNET)
			var r *nft.Ruleset
			if err == nil {
				r, err = nft.Open()
			}
			ready.Done()
			<-start
			if err == nil {
				err = run(i, r)
				r.Close()
			}
			errs[i] = err
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// numbered returns the i-th attachment of a network.
func numbered(network, bridge string, i int) nft.Entry {
	return entry(network, bridge, fmt.Sprintf("c%d", i), fmt.Sprintf("10.1.%d.%d/16", i/250, i%250+2), fmt.Sprintf("2001:db8::%x/64", i+2))
}

// Concurrent Publish and Withdraw add and remove the elements of their own entry only.
//
// Claim: Concurrent building, publishing and withdrawing give one table with each attachment's own elements and no others, with 700
// attachments and 300 networks too
func TestConcurrentPublishAndWithdraw(t *testing.T) {
	stays := numbered("net", "cni0", 1000)
	h, r := built(t, stays)
	before := list(t, h)
	mine := func(i int) nft.Entry { return numbered("net", "cni0", i) }
	concurrently(t, h, func(i int, r *nft.Ruleset) error {
		for range 5 {
			if err := r.Publish(mine(i)); err != nil {
				return fmt.Errorf("publish %d: %w", i, err)
			}
			lost, err := r.Missing(mine(i))
			if err != nil {
				return fmt.Errorf("missing of %d: %w", i, err)
			}
			if len(lost) > 0 {
				return fmt.Errorf("missing of %d: %q", i, lost)
			}
			if err := r.Withdraw(mine(i)); err != nil {
				return fmt.Errorf("withdraw %d: %w", i, err)
			}
		}
		return r.Publish(mine(i))
	})
	all := []nft.Entry{stays}
	for i := range many {
		all = append(all, mine(i))
	}
	listed(t, h, all...)
	for _, e := range all[1:] {
		if err := r.Withdraw(e); err != nil {
			t.Error(err)
		}
	}
	same(t, h, before, "after all Withdraws")
}

// Concurrent DELs of one attachment return no error.
//
// Claim: Concurrent building, publishing and withdrawing give one table with each attachment's own elements and no others, with 700
// attachments and 300 networks too
func TestConcurrentWithdrawOfOneEntry(t *testing.T) {
	stays, goes := numbered("net", "cni0", 1), numbered("net", "cni0", 2)
	h, r := built(t, stays)
	before := list(t, h)
	for range 5 {
		if err := r.Publish(goes); err != nil {
			t.Fatal(err)
		}
		concurrently(t, h, func(_ int, r *nft.Ruleset) error { return r.Withdraw(goes) })
		same(t, h, before, "after all Withdraws")
	}
}

// WithdrawOwner removes the elements of one owner while other owners are removed.
//
// Claim: Concurrent building, publishing and withdrawing give one table with each attachment's own elements and no others, with 700
// attachments and 300 networks too
func TestConcurrentWithdrawOwner(t *testing.T) {
	var all []nft.Entry
	for i := range 10 * many {
		all = append(all, numbered("net", "cni0", i))
	}
	h := host(t)
	if err := inHost(h, func() error { return in(t, h).Rebuild(only(all...)) }); err != nil {
		t.Fatal(err)
	}
	concurrently(t, h, func(i int, r *nft.Ruleset) error {
		for n := range 9 {
			e := all[i*10+n]
			id, _, _ := strings.Cut(e.Owner, " ")
			if err := withdrawOwner(r, id); err != nil {
				return err
			}
			lost, err := r.Missing(e)
			if err != nil {
				return err
			}
			if len(lost) != 4 {
				return fmt.Errorf("%s has lost %d of 4 elements", e.Owner, len(lost))
			}
		}
		return nil
	})
	var stay []nft.Entry
	for i := range many {
		stay = append(stay, all[i*10+9])
	}
	listed(t, h, stay...)
}

// With the lock that callers take, the table is built once and has the elements of all callers.
//
// Claim: Concurrent building, publishing and withdrawing give one table with each attachment's own elements and no others, with 700
// attachments and 300 networks too
func TestConcurrentBuild(t *testing.T) {
	h := host(t)
	var lock, listing sync.Mutex
	var records []nft.Entry
	lists := 0
	allEntries := func() ([]nft.Entry, error) {
		listing.Lock()
		defer listing.Unlock()
		lists++
		return slices.Clone(records), nil
	}
	concurrently(t, h, func(i int, r *nft.Ruleset) error {
		e := numbered(fmt.Sprintf("net%d", i%3), "cni0", i)
		listing.Lock()
		records = append(records, e)
		listing.Unlock()
		err := r.Publish(e)
		if !errors.Is(err, nft.ErrNotBuilt) {
			return err
		}
		lock.Lock()
		defer lock.Unlock()
		return r.Build(e, allEntries)
	})
	listed(t, h, records...)
	if lists != 2 {
		t.Errorf("the entries were listed %d times, want 2 for one table", lists)
	}
}

// Without a common lock the first table is built by one caller, because it is created exclusively. A table that
// exists must not be replaced without the lock.
//
// Claim: Concurrent building, publishing and withdrawing give one table with each attachment's own elements and no others, with 700
// attachments and 300 networks too
func TestConcurrentBuildOfTheFirstTable(t *testing.T) {
	for range 3 {
		h := host(t)
		var all []nft.Entry
		for i := range many {
			all = append(all, numbered(fmt.Sprintf("net%d", i%3), "cni0", i))
		}
		concurrently(t, h, func(i int, r *nft.Ruleset) error { return r.Build(all[i], only(all[i])) })
		listed(t, h, all...)
	}
}

// A large host: more elements than fit into one transaction or message, and many networks.
//
// Claim: Concurrent building, publishing and withdrawing give one table with each attachment's own elements and no others, with 700
// attachments and 300 networks too
func TestRebuildOfALargeHost(t *testing.T) {
	for _, tc := range []struct {
		name               string
		attachments, share int // how many have a network in common
	}{{"700 attachments of one network", 700, 700}, {"300 networks", 300, 1}, {"one more than a transaction has", 101, 101}} {
		t.Run(tc.name, func(t *testing.T) {
			h := host(t)
			r := in(t, h)
			var all []nft.Entry
			for i := range tc.attachments {
				all = append(all, numbered(fmt.Sprintf("net%d", i/tc.share), "cni0", i))
			}
			start := time.Now()
			if err := inHost(h, func() error { return r.Rebuild(only(all...)) }); err != nil {
				t.Fatal(err)
			}
			built := time.Since(start)
			start = time.Now()
			if err := inHost(h, func() error { return r.Rebuild(only(all...)) }); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d attachments, %d elements: first table %v, replaced %v", len(all), 4*len(all), built, time.Since(start))
			listed(t, h, all...)
			start = time.Now()
			id, _, _ := strings.Cut(all[len(all)-1].Owner, " ")
			if err := withdrawOwner(r, id); err != nil {
				t.Fatal(err)
			}
			t.Logf("removal by owner: %v", time.Since(start))
			listed(t, h, all[:len(all)-1]...)
		})
	}
}
