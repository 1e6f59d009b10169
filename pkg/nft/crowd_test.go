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

// crowd runs something many times at once in the host, each on a thread and with a socket of its
// own, as processes would be.
func crowd(t *testing.T, h *nettest.Node, run func(i int, r *nft.Ruleset) error) {
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
			runtime.LockOSThread() // and never let go: the thread ends with the goroutine
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

// numbered is the i-th attachment of a network.
func numbered(network, bridge string, i int) nft.Entry {
	return entry(network, bridge, fmt.Sprintf("c%d", i), fmt.Sprintf("10.1.%d.%d/16", i/250, i%250+2), fmt.Sprintf("2001:db8::%x/64", i+2))
}

// Those who come and go at once get and lose their own, and nobody else's.
func TestCrowdComesAndGoes(t *testing.T) {
	stays := numbered("net", "cni0", 1000)
	h, r := built(t, stays)
	before := list(t, h)
	mine := func(i int) nft.Entry { return numbered("net", "cni0", i) }
	crowd(t, h, func(i int, r *nft.Ruleset) error {
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
	same(t, h, before, "after all have gone")
}

// A runtime that calls DEL several times at once gets no error from any of them.
func TestCrowdWithdrawsTheSame(t *testing.T) {
	stays, goes := numbered("net", "cni0", 1), numbered("net", "cni0", 2)
	h, r := built(t, stays)
	before := list(t, h)
	for range 5 {
		if err := r.Publish(goes); err != nil {
			t.Fatal(err)
		}
		crowd(t, h, func(_ int, r *nft.Ruleset) error { return r.Withdraw(goes) })
		same(t, h, before, "after all have withdrawn the same")
	}
}

// Who knows nothing but marks takes their own out while others come and go.
func TestCrowdGoesByItsMarks(t *testing.T) {
	var all []nft.Entry
	for i := range 10 * many {
		all = append(all, numbered("net", "cni0", i))
	}
	h := host(t)
	if err := inHost(h, func() error { return in(t, h).Rebuild(only(all...)) }); err != nil {
		t.Fatal(err)
	}
	crowd(t, h, func(i int, r *nft.Ruleset) error {
		for n := range 9 {
			e := all[i*10+n]
			mark, _, _ := strings.Cut(e.Owner, " ")
			if err := withdrawOwner(r, mark); err != nil {
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

// With the lock that callers take, the table is built once, by the first; everybody is in it.
func TestCrowdBuildsOnce(t *testing.T) {
	h := host(t)
	var lock, book sync.Mutex
	var records []nft.Entry
	looks := 0
	everybody := func() ([]nft.Entry, error) {
		book.Lock()
		defer book.Unlock()
		looks++
		return slices.Clone(records), nil
	}
	crowd(t, h, func(i int, r *nft.Ruleset) error {
		e := numbered(fmt.Sprintf("net%d", i%3), "cni0", i)
		book.Lock()
		records = append(records, e)
		book.Unlock()
		err := r.Publish(e)
		if !errors.Is(err, nft.ErrNotBuilt) {
			return err
		}
		lock.Lock()
		defer lock.Unlock()
		return r.Build(e, everybody)
	})
	listed(t, h, records...)
	if looks != 2 {
		t.Errorf("everybody was asked %d times, want 2: one table, and its second look", looks)
	}
}

// Without a common lock, and none knowing of another, the first table is still built by one: it is
// exclusive. What this cannot show, because it is not so: a table replaced without the lock.
func TestCrowdBuildsTheFirstTableWithoutALock(t *testing.T) {
	for range 3 {
		h := host(t)
		var all []nft.Entry
		for i := range many {
			all = append(all, numbered(fmt.Sprintf("net%d", i%3), "cni0", i))
		}
		crowd(t, h, func(i int, r *nft.Ruleset) error { return r.Build(all[i], only(all[i])) })
		listed(t, h, all...)
	}
}

// A large host: more elements than one transaction or message holds, and more networks than most have.
func TestRebuildOfALargeHost(t *testing.T) {
	for _, tc := range []struct {
		name               string
		attachments, share int // how many have a network in common
	}{{"700 attachments of one network", 700, 700}, {"300 networks", 300, 1}, {"one more than a transaction holds", 101, 101}} {
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
			mark, _, _ := strings.Cut(all[len(all)-1].Owner, " ")
			if err := withdrawOwner(r, mark); err != nil {
				t.Fatal(err)
			}
			t.Logf("looked through for one mark: %v", time.Since(start))
			listed(t, h, all[:len(all)-1]...)
		})
	}
}
