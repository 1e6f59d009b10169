package nft_test

import (
	"sync"
	"testing"
)

// CHECK does not take the moment in which somebody builds the table anew for a loss.
func TestMissingWhileSomebodyBuilds(t *testing.T) {
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
	looks := 0
	for ended := false; !ended; looks++ {
		lost, err := r.Missing(e)
		if err != nil || len(lost) > 0 {
			t.Errorf("look %d: %q, %v", looks, lost, err)
		}
		select {
		case <-done:
			ended = true
		default:
		}
	}
	building.Wait()
	t.Logf("%d looks while the table was built 60 times", looks)
}
