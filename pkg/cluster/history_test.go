package cluster

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// history is a cluster at random: the nodes that exist, those that the cache of one host has, and the routes of that host.
type history struct {
	random *rand.Rand
	config *Config
	exist  map[string]Node // by name
	cached map[string]Node
	routes []Route
	device Entries // installed in the device of the overlay
	guard  Guard
	second int64 // of creation of the last node
	log    []string
}

const historyCIDRs = 12 // numbers of CIDRs that nodes of a history share

func newHistory(seed uint64, config *Config) *history {
	h := &history{random: rand.New(rand.NewPCG(seed, 1)), config: config, exist: map[string]Node{}, cached: map[string]Node{}}
	h.exist["node-1"] = node(1)
	return h
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

// add creates a node, also one that has a CIDR which another node has, or had. Several nodes are of the same second.
func (h *history) add() {
	number := 2 + h.random.IntN(20)
	name := fmt.Sprintf("node-%d", number)
	if _, there := h.exist[name]; there {
		return
	}
	h.second += int64(h.random.IntN(2))
	n := node(number, created(h.second), uid(fmt.Sprint(h.random.Uint64())), h.someCIDRs())
	h.exist[name] = n
	h.note("add %s %v", name, n.PodCIDRs)
}

// someCIDRs are the CIDRs of a node: of both families, none, or in one of eight cases wider ones that overlap others.
func (h *history) someCIDRs() func(*Object) {
	at := 2 + h.random.IntN(historyCIDRs)
	switch h.random.IntN(8) {
	case 0:
		return cidrs()
	case 1:
		return cidrs(fmt.Sprintf("10.244.%d.0/22", at&^3), fmt.Sprintf("fd00:10:244:%x::/62", at&^3))
	}
	return cidrs(fmt.Sprintf("10.244.%d.0/24", at), fmt.Sprintf("fd00:10:244:%x::/64", at))
}

// remove deletes a node; swap exchanges the CIDRs of two by deleting and creating both.
func (h *history) remove() {
	if name := h.pick(); name != "" {
		h.note("delete %s", name)
		delete(h.exist, name)
	}
}

func (h *history) swap() {
	first, second := h.pick(), h.pick()
	if first == "" || first == second {
		return
	}
	h.second++
	a, b := h.exist[first], h.exist[second]
	a.PodCIDRs, b.PodCIDRs = b.PodCIDRs, a.PodCIDRs
	a.UID, b.UID, a.Created, b.Created = a.UID+"x", b.UID+"x", time.Unix(h.second, 0), time.Unix(h.second, 0)
	h.exist[first], h.exist[second] = a, b
	h.note("swap %s %s", first, second)
}

// readdress gives a node another InternalIP.
func (h *history) readdress() {
	if name := h.pick(); name != "" {
		n := h.exist[name]
		at := h.random.IntN(50)
		n.InternalIPs = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + at)}), netip.MustParseAddr(fmt.Sprintf("2001:db8::1:%d", at))}
		h.exist[name] = n
		h.note("readdress %s", name)
	}
}

// pick returns the name of a node other than this one, "" without any.
func (h *history) pick() string {
	names := slices.DeleteFunc(sorted(h.exist), func(name string) bool { return name == "node-1" })
	if len(names) == 0 {
		return ""
	}
	return names[h.random.IntN(len(names))]
}

// sorted returns the names of nodes: a history depends on its seed alone.
func sorted(nodes map[string]Node) []string { return slices.Sorted(maps.Keys(nodes)) }

// sync brings what exists into the cache: everything, or some of it in any order, as events or a list do; creations may come long before
// the deletions that came first.
func (h *history) sync(all bool) {
	for _, name := range sorted(h.exist) {
		if all || h.random.IntN(2) == 0 {
			h.cached[name] = h.exist[name]
		}
	}
	for _, name := range sorted(h.cached) {
		if _, there := h.exist[name]; !there && (all || h.random.IntN(3) == 0) {
			delete(h.cached, name)
		}
	}
}

// pass does what the host does, and returns the first destination that was without a route in between although it has one before and
// after, or the first route whose node is looked for by ARP. In one of four cases it ends after a few steps, as if it was killed; done is
// then false.
func (h *history) pass() (fault string, done bool) {
	nodes := make([]Node, 0, len(h.cached))
	for _, name := range sorted(h.cached) {
		nodes = append(nodes, h.cached[name])
	}
	h.random.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	plan := h.config.Plan(nodes, h.facts(nodes))
	for _, problem := range plan.Problems {
		if problem.Kind.Known() != problem.Kind {
			return fmt.Sprintf("a problem of kind %q: %+v", problem.Kind, problem), false
		}
	}
	steps := h.steps(plan)
	if done = h.random.IntN(4) != 0; !done && len(steps) > 0 {
		steps = steps[:h.random.IntN(len(steps))]
	}
	before, after := destinations(h.routes), destinations(plan.Routes)
	for _, step := range steps {
		step()
		now := destinations(h.routes)
		for dst := range after {
			if before[dst] && !now[dst] {
				return dst.String() + " has no route for a moment", done
			}
		}
		if fault := h.unresolved(); fault != "" {
			return fault, done
		}
	}
	return "", done
}

// steps returns what the host does, one change at a time.
func (h *history) steps(plan Plan) (steps []func()) {
	do := func(step func()) { steps = append(steps, step) }
	var want Entries
	for _, d := range plan.Devices {
		want = d.Entries
	}
	changes := Compare(plan.Routes, h.routes)
	if plan.KeepOverlay {
		changes.KeepOverlay()
	} else {
		h.setEntries(CompareEntries(want, h.device, h.routes), do)
	}
	held := h.guard.Hold(changes.Gone, h.routes, Clock{Now: time.Unix(h.second, 0)})
	for _, r := range slices.Concat(changes.Add, changes.Move) {
		do(func() { h.routes = append(h.routes, r) })
	}
	remove := changes.Replaced
	if !held {
		remove = append(remove, changes.Gone...)
	}
	for _, r := range remove {
		do(func() { h.routes = without(h.routes, r) })
	}
	if !plan.KeepOverlay {
		do(func() { h.device = h.withoutGone(CompareEntries(want, h.device, h.routes)) })
	}
	return steps
}

func destinations(routes []Route) map[netip.Prefix]bool {
	all := map[netip.Prefix]bool{}
	for _, r := range routes {
		all[r.Dst] = true
	}
	return all
}

func without(routes []Route, gone Route) (rest []Route) {
	for _, r := range routes {
		if r != gone {
			rest = append(rest, r)
		}
	}
	return rest
}

// owners returns, by a second way, the destinations that nodes of a set have, and the node: each node in the order of age takes what
// overlaps nothing taken. Quadratic, and without the code under test.
func owners(nodes map[string]Node) map[netip.Prefix]Node {
	taken := map[netip.Prefix]Node{}
	for _, p := range nodes["node-1"].PodCIDRs {
		taken[p] = nodes["node-1"]
	}
	taken[netip.MustParsePrefix("10.244.1.0/24")] = node(1) // of the bridge
	rest := map[string]Node{}
	for name, n := range nodes {
		if name != "node-1" {
			rest[name] = n
		}
	}
	for len(rest) > 0 {
		var oldest string
		for name, n := range rest {
			o := rest[oldest]
			if oldest == "" || n.Created.Before(o.Created) || n.Created.Equal(o.Created) && n.UID < o.UID {
				oldest = name
			}
		}
		for _, p := range rest[oldest].PodCIDRs {
			free := true
			for other := range taken {
				free = free && !other.Overlaps(p)
			}
			if free {
				taken[p] = rest[oldest]
			}
		}
		delete(rest, oldest)
	}
	return taken
}

// check compares the routes with the owners among the cached nodes; while deletions are held, more routes may be there.
func (h *history) check() string {
	have := map[netip.Prefix]netip.Addr{}
	for _, r := range h.routes {
		if other, twice := have[r.Dst]; twice {
			return fmt.Sprintf("two routes to %s: by %s and %s", r.Dst, other, r.Via)
		}
		have[r.Dst] = r.Via
	}
	want := owners(h.cached)
	for dst, n := range want {
		if n.Name == "node-1" {
			if via, there := have[dst]; there {
				return fmt.Sprintf("own CIDR %s by %s", dst, via)
			}
			continue
		}
		if _, known := h.cached["node-1"]; !known && h.throughOverlay(n, dst) {
			continue // the plan is that everything stays
		}
		if to := h.arrives(dst); to != n.InternalIP(to.Is4()) || h.throughOverlay(n, dst) && !to.Is4() {
			return fmt.Sprintf("%s of %s: its packets go to %s", dst, n.Name, to)
		}
	}
	for dst := range have {
		if _, known := h.cached["node-1"]; !known && h.config.Mode != ModeDirect {
			continue
		}
		if _, wanted := want[dst]; !wanted && h.guard.ListAt().IsZero() {
			return fmt.Sprintf("%s has no node, but a route", dst)
		}
	}
	return ""
}

// TestHistories: 10 000 clusters at random, whose nodes come, go, exchange CIDRs and addresses, and claim what others have, while the
// cache of the host has an old mixture of them, and one of four passes is killed. A third of them each has the modes direct, auto and vxlan.
//
// Claim: No route leads through the overlay while an entry for its gateway or its node is missing, so that the kernel never asks for it
// Claim: In 10 000 random histories of nodes, no node that exists is without its route after a pass, nor during one if it had one before
func TestHistories(t *testing.T) {
	histories := 10_000
	if testing.Short() {
		histories = 500
	}
	configs := []*Config{parseConfig(t, clusterOfTests), parseConfig(t, overlayConfig("auto")), parseConfig(t, overlayConfig("vxlan"))}
	passes, routes, entries := 0, 0, 0
	for seed := range uint64(histories) {
		h := newHistory(seed, configs[seed%3])
		for range 4 + h.random.IntN(12) {
			for range 1 + h.random.IntN(6) {
				steps := []func(){h.add, h.add, h.add, h.remove, h.swap, h.readdress}
				steps[h.random.IntN(len(steps))]()
			}
			h.sync(h.random.IntN(3) == 0)
			fault, done := h.pass()
			if fault == "" && done {
				fault = h.check()
			}
			if fault != "" {
				t.Fatalf("history %d: %s\n%v", seed, fault, h.log)
			}
			passes++
			routes += len(h.routes)
			entries += len(h.device.Neighbours)
		}
	}
	if routes < 5*passes || entries < 2*passes {
		t.Errorf("%d passes had %d routes and %d neighbours: the histories are empty", passes, routes, entries)
	}
}
