package firewall_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
)

// While somebody builds their table anew, whose chains go between two questions, what it does is found.
func TestDropsWhileSomebodyBuilds(t *testing.T) {
	t.Parallel()
	h := host(t)
	rules := forward("drop", `jump one`, `chain three { iifname "cni0" drop; }`, `chain two { jump three; }`, `chain one { jump two; }`)
	load(t, h, rules)
	var building sync.WaitGroup
	done := make(chan struct{})
	building.Go(func() {
		defer close(done)
		for range 40 {
			c := h.Command("nft", "-f", "-")
			c.Stdin = strings.NewReader("flush ruleset\n" + rules)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
	})
	looks := 0
	for ended := false; !ended; looks++ {
		h.Do(func() {
			f, err := firewall.Open()
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			all, err := f.Drops(usual())
			if want := kinds(leaving, returning, published, neighbours); err != nil || verdicts(all) != want {
				t.Errorf("look %d: %s, %v", looks, verdicts(all), err)
			}
		})
		select {
		case <-done:
			ended = true
		default:
		}
	}
	building.Wait()
	t.Logf("%d looks while the table was built 40 times", looks)
}
