package nft_test

import (
	"sync"
	"testing"
)

// Missing reports nothing while the table is replaced all the time.
//
// Claim: ADD, DEL and undo that build the ruleset wait for one another; random calls during reload leave it as the records say
func TestMissingWhileTheTableIsReplaced(t *testing.T) {
	h := host(t)
	r, builder := in(t, h), in(t, h)
	e := entry("net", "cni0", "a", "10.1.2.3/24", "2001:db8::3/64")
	if err := inHost(h, func() error { return r.Build(e, only(e)) }); err != nil {
		t.Fatal(err)
	}
	var building sync.WaitGroup
	done := make(chan struct{})
	building.Go(func() {
		defer close(done)
		for range 60 {
			if err := builder.Rebuild(only(e)); err != nil {
				t.Error(err)
			}
		}
	})
	reads := 0
	for ended := false; !ended; reads++ {
		lost, err := r.Missing(e)
		if err != nil || len(lost) > 0 {
			t.Errorf("read %d: %q, %v", reads, lost, err)
		}
		select {
		case <-done:
			ended = true
		default:
		}
	}
	building.Wait()
	t.Logf("%d reads while the table was replaced 60 times", reads)
}
