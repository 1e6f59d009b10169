package conformance

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

func concurrencyChecks() []Check {
	const source = "SPEC 3, Lifecycle: executed concurrently"
	return []Check{
		{
			ID: "concurrent-first-adds", Level: Must, Source: source, run: func(t *trial) { concurrentAdds(t, 10, false) },
			Text: "attaches ten containers at once on a host that had none, each with its own address",
		},
		{
			ID: "concurrent-adds", Level: Must, Source: source, run: func(t *trial) { concurrentAdds(t, 20, true) },
			Text: "attaches 20 containers at once, each with its own address",
		},
		{
			ID: "concurrent-adds-masquerade", Level: Must, Source: source, Needs: []string{"masquerade"}, run: func(t *trial) { concurrentAdds(t, 10, false, "masquerade") },
			Text: "attaches ten containers at once with masquerading",
		},
		{
			ID: "concurrent-dels", Level: Must, Source: source, run: concurrentDels,
			Text: "detaches ten containers at once, and leaves nothing",
		},
		{
			ID: "concurrent-adds-and-dels", Level: Must, Source: source, run: concurrentMix,
			Text: "attaches five containers while five others are detached",
		},
		{
			ID: "concurrent-checks", Level: Must, Source: source, Since: "0.4.0", run: concurrentChecks,
			Text: "checks ten containers at once",
		},
		{
			ID: "concurrent-pool", Level: Must, Source: source, Needs: []string{"smallPool"}, run: concurrentPool,
			Text: "gives no address twice when ten containers at once want one of at most eight",
		},
		{
			ID: "concurrent-same-add", Level: Practice, Source: "a runtime that was restarted", run: concurrentSameAdd,
			Text: "attaches a container once when ADD of the same attachment is called twice at once, and DEL leaves nothing",
		},
		{
			ID: "concurrent-same-add-del", Level: Practice, Source: "a runtime whose ADD timed out", run: concurrentSameDel,
			Text: "leaves nothing after ADD and DEL of one attachment at once, and another DEL",
		},
	}
}

// several creates containers and returns a call for each.
func (t *trial) several(n int, verb string, config conf) ([]*nettest.Container, []nettest.Call) {
	containers := make([]*nettest.Container, n)
	calls := make([]nettest.Call, n)
	for i := range n {
		containers[i] = t.host.Container(fmt.Sprint("c", i))
		calls[i] = t.call(verb, containers[i], config)
	}
	return containers, calls
}

// together attaches n containers at once, which must succeed, each with its own address.
func (t *trial) together(n int, config conf) ([]*nettest.Container, []*result) {
	containers, calls := t.several(n, "ADD", config)
	results := make([]*result, n)
	var seen []netip.Addr
	for i, a := range t.all(calls) {
		results[i] = t.result(a)
		for _, ip := range results[i].IPs {
			if slices.Contains(seen, ip.Address.Addr()) {
				t.Fatalf("two containers have one address")
			}
			seen = append(seen, ip.Address.Addr())
		}
	}
	return containers, results
}

func concurrentAdds(t *trial, n int, resident bool, names ...string) {
	config := t.conf(t.variantsOf(names)...)
	if resident {
		t.resident(config)
	}
	containers, _ := t.together(n, config)
	for _, c := range containers {
		if !has(c.Netns, "eth0") {
			t.Fatalf("a container has no interface")
		}
	}
}

func concurrentDels(t *trial) {
	t.resident(t.conf())
	containers, calls := t.several(10, "DEL", t.conf())
	t.baseline()
	for _, c := range containers {
		t.add(c, t.conf())
	}
	for _, a := range t.all(calls) {
		t.succeeds(a, "DEL")
	}
	t.clean("ten DELs at once")
}

func concurrentMix(t *trial) {
	_, calls := t.several(10, "ADD", t.conf())
	for i := range 5 {
		t.succeeds(t.do(calls[i]), "ADD")
		calls[i].Command = "DEL"
	}
	for i, a := range t.all(calls) {
		t.succeeds(a, calls[i].Command)
	}
}

func concurrentChecks(t *trial) {
	var calls []nettest.Call
	for i := range 10 {
		c, r := t.attach(fmt.Sprint("c", i), t.conf())
		calls = append(calls, t.call("CHECK", c, withPrev(t.conf(), r)))
	}
	for _, a := range t.all(calls) {
		t.succeeds(a, "CHECK")
	}
}

func concurrentPool(t *trial) {
	_, calls := t.several(10, "ADD", t.conf(t.variant("smallPool")))
	var seen []netip.Addr
	for _, a := range t.all(calls) {
		if a.Exit != 0 {
			t.refuses(a, "ADD")
			continue
		}
		addr := t.address(t.result(a))
		if slices.Contains(seen, addr) {
			t.Fatalf("two containers have one address")
		}
		seen = append(seen, addr)
	}
	if len(seen) == 0 || len(seen) > 8 {
		t.Fatalf("%d containers are attached", len(seen))
	}
}

func concurrentSameAdd(t *trial) {
	c := t.newcomer(t.conf())
	call := t.call("ADD", c, t.conf())
	attached := 0
	for _, a := range t.all([]nettest.Call{call, call}) {
		if a.Exit == 0 {
			attached++
		}
	}
	if attached > 1 {
		t.Fatalf("both ADDs succeed")
	}
	t.del(c, t.conf())
	t.clean("DEL")
}

func concurrentSameDel(t *trial) {
	c := t.newcomer(t.conf())
	for range 5 {
		t.all([]nettest.Call{t.call("ADD", c, t.conf()), t.call("DEL", c, t.conf())})
		t.del(c, t.conf())
		t.clean("ADD and DEL at once, and DEL")
	}
}
