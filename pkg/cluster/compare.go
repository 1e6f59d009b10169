package cluster

import (
	"net/netip"
	"slices"
	"time"
)

// Changes is what makes the installed routes those of a plan. Carried out in the order of the fields, no destination that has a route
// before and in the plan is without one in between.
type Changes struct {
	Add      []Route // destinations that have no route
	Move     []Route // destinations that have a route by another gateway or device: this one is added beside it
	Replaced []Route // routes by another gateway or device than that of the plan
	Gone     []Route // destinations that are not in the plan
}

// Compare compares the routes of a plan with the installed ones, which may have several by one destination.
func Compare(want, have []Route) (c Changes) {
	if slices.Equal(want, have) { // the kernel lists routes in the order of a plan, so that most passes end here
		return c
	}
	wanted := make(map[netip.Prefix]Route, len(want))
	for _, r := range want {
		wanted[r.Dst] = r
	}
	there := make(map[netip.Prefix]bool, len(have)) // to: by the gateway of the plan
	for _, r := range have {
		planned, is := wanted[r.Dst]
		switch {
		case !is:
			c.Gone = append(c.Gone, r)
		case planned != r:
			c.Replaced = append(c.Replaced, r)
		default:
			there[r.Dst] = true
		}
	}
	other := make(map[netip.Prefix]bool, len(c.Replaced))
	for _, r := range c.Replaced {
		other[r.Dst] = true
	}
	for _, r := range want {
		switch {
		case there[r.Dst]:
		case other[r.Dst]:
			c.Move = append(c.Move, r)
		default:
			c.Add = append(c.Add, r)
		}
	}
	return c
}

// KeepOverlay takes routes through the overlay out of Gone, and returns them.
func (c *Changes) KeepOverlay() (kept []Route) {
	var gone []Route
	for _, r := range c.Gone {
		if r.Device != "" {
			kept = append(kept, r)
		} else {
			gone = append(gone, r)
		}
	}
	c.Gone = gone
	return kept
}

// Limits of Guard: a change that takes more than half of the routes of a family, and more than 10.
const (
	fewRoutes = 10
	grace     = 60 * time.Second
)

// Guard delays deletions when most nodes disappear at once. That is rarely what happened: an API server that was restored from an old or
// an empty backup, or a configuration that names another one, is more likely. The zero Guard is ready.
type Guard struct {
	since time.Time // of the first list without the nodes; zero: nothing is held
}

// Clock is when a plan was made.
type Clock struct {
	Now    time.Time
	Listed time.Time // when the list of nodes that the plan was made of was requested from the API server; zero: before the last pass
}

// Hold reports whether the routes of gone must stay for now: they are most of the installed ones, and no list that was requested a minute
// or more after the first one has confirmed that.
func (g *Guard) Hold(gone, have []Route, clock Clock) bool {
	if !most(gone, have, true) && !most(gone, have, false) {
		g.since = time.Time{}
		return false
	}
	if g.since.IsZero() {
		g.since = clock.Now
	}
	if clock.Listed.Before(g.since.Add(grace)) {
		return true
	}
	g.since = time.Time{}
	return false
}

// ListAt returns when to request a list for the next call of Hold; the zero Time if nothing is held.
func (g *Guard) ListAt() time.Time {
	if g.since.IsZero() {
		return time.Time{}
	}
	return g.since.Add(grace)
}

// most reports whether gone is most of the routes of a family.
func most(gone, have []Route, is4 bool) bool {
	n, all := count(gone, is4), count(have, is4)
	return n > fewRoutes && 2*n > all
}

func count(routes []Route, is4 bool) (n int) {
	for _, r := range routes {
		if r.Dst.Addr().Is4() == is4 {
			n++
		}
	}
	return n
}
