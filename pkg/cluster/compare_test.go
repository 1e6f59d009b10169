package cluster

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func route(dst, via string) Route {
	return Route{Dst: netip.MustParsePrefix(dst), Via: netip.MustParseAddr(via)}
}

// by is a route through a device.
func (r Route) by(device string) Route {
	r.Device = device
	return r
}

var byText = cmp.Transformer("text", func(r Route) string { return fmt.Sprintf("%s via %s dev %s", r.Dst, r.Via, r.Device) })

// TestCompare: what is added, moved and removed.
func TestCompare(t *testing.T) {
	a, b, c := route("10.244.1.0/24", "192.0.2.1"), route("10.244.2.0/24", "192.0.2.2"), route("fd00::/64", "2001:db8::1")
	moved := route("10.244.1.0/24", "192.0.2.9")
	for name, tt := range map[string]struct {
		want, have []Route
		changes    Changes
	}{
		"nothing":           {},
		"same":              {[]Route{a, b, c}, []Route{c, b, a}, Changes{}},
		"new":               {[]Route{a, b}, []Route{b}, Changes{Add: []Route{a}}},
		"gone":              {[]Route{b}, []Route{a, b, c}, Changes{Gone: []Route{a, c}}},
		"moved":             {[]Route{moved, b}, []Route{a, b}, Changes{Move: []Route{moved}, Replaced: []Route{a}}},
		"moved in part":     {[]Route{moved}, []Route{a, moved}, Changes{Replaced: []Route{a}}},
		"to the overlay":    {[]Route{a.by(Overlay4)}, []Route{a}, Changes{Move: []Route{a.by(Overlay4)}, Replaced: []Route{a}}},
		"the same, twice":   {[]Route{a}, []Route{a, a}, Changes{}},
		"a narrower prefix": {[]Route{route("10.244.1.0/25", "192.0.2.1")}, []Route{a}, Changes{Add: []Route{route("10.244.1.0/25", "192.0.2.1")}, Gone: []Route{a}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.changes, Compare(tt.want, tt.have), byText); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// manyRoutes returns n routes of a family.
func manyRoutes(n int, is4 bool) (all []Route) {
	for i := range n {
		if is4 {
			all = append(all, route(fmt.Sprintf("10.244.%d.0/24", i), "192.0.2.1"))
		} else {
			all = append(all, route(fmt.Sprintf("fd00:0:0:%x::/64", i), "2001:db8::1"))
		}
	}
	return all
}

// TestGuard: when deletions wait, and what ends that.
//
// Claim: If more than half of the nodes disappear at once, their routes stay until a second list, a minute later, confirms it
func TestGuard(t *testing.T) {
	four, six := manyRoutes(30, true), manyRoutes(30, false)
	start := time.Unix(1e9, 0)
	for name, tt := range map[string]struct {
		gone, have []Route
		want       bool
	}{
		"nothing":                {nil, four, false},
		"half":                   {four[:15], four, false},
		"more than half":         {four[:16], four, true},
		"all":                    {four, four, true},
		"10 of 10":               {four[:10], four[:10], false},
		"11 of 11":               {four[:11], four[:11], true},
		"all of the smaller one": {six, slices.Concat(six, manyRoutes(200, true)), true},
	} {
		if got := new(Guard).Hold(tt.gone, tt.have, Clock{Now: start}); got != tt.want {
			t.Errorf("%s: held %t, want %t", name, got, tt.want)
		}
	}
	var g Guard
	at := func(seconds, listed int) bool {
		clock := Clock{Now: start.Add(time.Duration(seconds) * time.Second)}
		if listed >= 0 {
			clock.Listed = start.Add(time.Duration(listed) * time.Second)
		}
		return g.Hold(four, four, clock)
	}
	for _, step := range []struct {
		seconds, listed int
		want            bool
	}{{0, 0, true}, {30, 29, true}, {59, -1, true}, {70, -1, true}, {70, 59, true}, {71, 60, false}, {72, -1, true}, {140, 100, true}, {140, 132, false}} {
		if got := at(step.seconds, step.listed); got != step.want {
			t.Errorf("after %d s with a list of second %d: held %t, want %t", step.seconds, step.listed, got, step.want)
		}
		if next := g.ListAt(); next.IsZero() == step.want {
			t.Errorf("after %d s: the next list at %v", step.seconds, next)
		}
	}
	at(200, -1)
	if g.Hold(nil, four, Clock{Now: start}) || !g.ListAt().IsZero() || !at(500, -1) {
		t.Error("nodes that came back did not end it")
	}
}
