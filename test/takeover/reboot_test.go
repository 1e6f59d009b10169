package takeover

import (
	"testing"

	"github.com/patchbay-cni/patchbay/test/expect"
)

// writers are who gave the five addresses of a /29: each is an attachment by us or by the reference, in the order of the addresses.
func writers() map[string][]plugin {
	return map[string][]plugin{
		"by us":            {ours, ours, ours, ours, ours},
		"by the reference": {reference, reference, reference, reference, reference},
		"by both":          {reference, ours, reference, ours, ours},
	}
}

// full is a node whose pool has no address left.
func full(t *testing.T, by []plugin) (n *node, mine, theirs []*attachment) {
	t.Helper()
	n = newNode(t, "10.1.0.0/29")
	for i, p := range by {
		a := n.add(t, p, "old"+string(rune('a'+i)))
		if p == ours {
			mine = append(mine, a)
			continue
		}
		theirs = append(theirs, a)
	}
	return n, mine, theirs
}

// each runs a test for all kinds of writers.
func each(t *testing.T, test func(t *testing.T, by []plugin)) {
	t.Helper()
	for name, by := range writers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, by)
		})
	}
}

// TestRebootLosesNothing: the files are as they were, and when the runtime makes the DELs of the sandboxes that the reboot ended,
// each frees its own, by whomever.
func TestRebootLosesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, by []plugin) {
		n, mine, theirs := full(t, by)
		before := n.files(t)
		n.Reboot()
		expect.Equal(t, "address files", n.files(t), before)
		for i, a := range append(mine, theirs...) {
			a.del(t, []plugin{ours, reference}[i%2])
		}
		expect.Equal(t, "address files at the end", n.files(t), map[string]string{})
		fresh := n.addAll(t, ours, "fresha", "freshb", "freshc", "freshd", "freshe")
		expect.Equal(t, "addresses", n.held(t, fresh), []string{"10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6"})
		n.clean(t)
	})
}

// TestRebootWithoutDel: nobody makes the DELs. Ours are taken for dead when no other address is left, the reference's never.
func TestRebootWithoutDel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, by []plugin) {
		n, mine, theirs := full(t, by)
		want, kept := n.held(t, mine), n.held(t, theirs)
		n.Reboot()
		n.refused(t, reference) // whose files these are it does not know
		var fresh []*attachment
		for i := range mine {
			fresh = append(fresh, n.add(t, ours, "fresh"+string(rune('a'+i))))
		}
		expect.Equal(t, "addresses of the new", n.held(t, fresh), want)
		n.refused(t, ours)
		expect.Equal(t, "addresses of the reference", n.held(t, theirs), kept)
		for _, a := range mine { // late: the addresses have new owners
			a.del(t, ours)
		}
		for _, a := range fresh {
			a.works(t, ours)
		}
		n.clean(t)
	})
}

// TestRebootSparesTheUsed: as long as there is another address, nothing of before the reboot is taken, ours or not.
func TestRebootSparesTheUsed(t *testing.T) {
	t.Parallel()
	n := newNode(t, "10.1.0.0/28") // .2 to .14
	n.addAll(t, ours, "p1", "p2", "p3")
	n.addAll(t, reference, "r1", "r2", "r3")
	before := n.files(t)
	n.Reboot()
	fresh := n.addAll(t, ours, "f1", "f2", "f3", "f4", "f5", "f6", "f7")
	for i, a := range fresh {
		before[a.address(t)] = a.owner()
		expect.Equal(t, "count", len(before), 6+i+1)
	}
	expect.Equal(t, "address files", n.files(t), before)
	n.clean(t)
}

// TestRebootFreesNothingAlive: after the reboot a container of the reference has an address that was ours before, and the very ID
// of its owner; and one of ours has come back. Neither loses it when no address is left.
func TestRebootFreesNothingAlive(t *testing.T) {
	t.Parallel()
	n, mine, _ := full(t, []plugin{ours, ours, ours, reference, reference})
	n.Reboot()
	mine[0].del(t, reference)
	theirs := n.add(t, reference, "olda") // the same name is the same ID
	expect.Equal(t, "address", theirs.address(t), mine[0].address(t))
	back := n.add(t, ours, "oldb")
	fresh := n.add(t, ours, "fresh")
	expect.Equal(t, "addresses of the new", n.held(t, []*attachment{back, fresh}), addresses(t, mine[1:]))
	n.refused(t, ours)
	back.works(t, ours, theirs, fresh)
	theirs.works(t, reference)
	n.clean(t)
}

// TestRebootOfTheSameIDs: podman, LXC and nerdctl start the same containers again, and make no DEL before. All of them fit.
func TestRebootOfTheSameIDs(t *testing.T) {
	t.Parallel()
	n, mine, theirs := full(t, writers()["by both"])
	want, kept := n.held(t, mine), n.held(t, theirs)
	n.Reboot()
	again := n.addAll(t, ours, "olde", "oldb", "oldd")
	expect.Equal(t, "addresses", n.held(t, again), want)
	expect.Equal(t, "addresses of the reference", n.held(t, theirs), kept)
	n.refused(t, ours)
	for _, a := range again {
		a.works(t, ours)
	}
	n.clean(t)
}

// TestSecondReboot: what was reclaimed and given again is of the last boot, and reclaimed again after the next.
func TestSecondReboot(t *testing.T) {
	t.Parallel()
	n, mine, theirs := full(t, writers()["by both"])
	want, kept := n.held(t, mine), n.held(t, theirs)
	for boot := range 3 {
		n.Reboot()
		var fresh []*attachment
		for i := range mine {
			fresh = append(fresh, n.add(t, ours, "boot"+string(rune('a'+boot))+string(rune('a'+i))))
		}
		expect.Equal(t, "addresses of the new", n.held(t, fresh), want)
		expect.Equal(t, "addresses of the reference", n.held(t, theirs), kept)
		n.refused(t, ours)
	}
	n.clean(t)
}

// TestRebootWithRecordsOnDisk: a state directory that a reboot does not empty. Its records are of another boot, and dead.
func TestRebootWithRecordsOnDisk(t *testing.T) {
	t.Parallel()
	n := newNode(t, "10.1.0.0/29")
	n.keys = `, "stateDir": "/var/lib/patchbay/state"`
	mine := n.addAll(t, ours, "olda", "oldb", "oldc")
	theirs := n.addAll(t, reference, "oldd", "olde")
	want, kept := n.held(t, mine), n.held(t, theirs)
	n.Reboot()
	again := n.add(t, ours, "oldb") // the same ID
	expect.Equal(t, "address", again.address(t), mine[1].address(t))
	fresh := append(n.addAll(t, ours, "fresha", "freshb"), again)
	expect.Equal(t, "addresses of the new", n.held(t, fresh), want)
	expect.Equal(t, "addresses of the reference", n.held(t, theirs), kept)
	n.refused(t, ours)
	mine[0].del(t, ours)
	mine[2].del(t, ours)
	again.works(t, ours, fresh[0], fresh[1])
	n.clean(t)
}
