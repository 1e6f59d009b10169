package takeover

import (
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// writers returns which plugin assigns each of the five addresses of a /29, Patchbay or the reference, in the order of
// the addresses.
func writers() map[string][]plugin {
	return map[string][]plugin{
		"by us":            {ours, ours, ours, ours, ours},
		"by the reference": {reference, reference, reference, reference, reference},
		"by both":          {reference, ours, reference, ours, ours},
	}
}

// full returns a node whose pool has no address left.
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

// each runs a test for all combinations of writers.
func each(t *testing.T, test func(t *testing.T, by []plugin)) {
	t.Helper()
	for name, by := range writers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, by)
		})
	}
}

// TestRebootLosesNothing: a reboot does not change the address files, and each DEL that the runtime calls for the
// sandboxes of the previous boot releases its own address, whichever plugin it calls.
//
// Claim: A reboot loses nothing and releases nothing live, whether written by Patchbay, the reference plugins or both
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

// TestRebootWithoutDel: no DEL is called. Attachments of Patchbay are reclaimed when no other address is left, those
// of the reference never.
//
// Claim: A reboot loses nothing and releases nothing live, whether written by Patchbay, the reference plugins or both
func TestRebootWithoutDel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, by []plugin) {
		n, mine, theirs := full(t, by)
		want, kept := n.held(t, mine), n.held(t, theirs)
		n.Reboot()
		n.refused(t, reference) // host-local cannot identify the owner of a file
		var fresh []*attachment
		for i := range mine {
			fresh = append(fresh, n.add(t, ours, "fresh"+string(rune('a'+i))))
		}
		expect.Equal(t, "addresses of the new", n.held(t, fresh), want)
		n.refused(t, ours)
		expect.Equal(t, "addresses of the reference", n.held(t, theirs), kept)
		for _, a := range mine { // a late DEL: the addresses have new owners
			a.del(t, ours)
		}
		for _, a := range fresh {
			a.works(t, ours)
		}
		n.clean(t)
	})
}

// TestRebootKeepsUsedAddresses: as long as another address is free, no address of the previous boot is reclaimed.
//
// Claim: A reboot loses nothing and releases nothing live, whether written by Patchbay, the reference plugins or both
func TestRebootKeepsUsedAddresses(t *testing.T) {
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

// TestRebootKeepsLiveAddresses: after the reboot a container of the reference has an address that Patchbay assigned
// before, and the container ID of its owner; and a container of Patchbay was attached again. Both keep their addresses
// when no address is left.
//
// Claim: A reboot loses nothing and releases nothing live, whether written by Patchbay, the reference plugins or both
func TestRebootKeepsLiveAddresses(t *testing.T) {
	t.Parallel()
	n, mine, _ := full(t, []plugin{ours, ours, ours, reference, reference})
	n.Reboot()
	mine[0].del(t, reference)
	theirs := n.add(t, reference, "olda") // the same name has the same container ID
	expect.Equal(t, "address", theirs.address(t), mine[0].address(t))
	back := n.add(t, ours, "oldb")
	fresh := n.add(t, ours, "fresh")
	expect.Equal(t, "addresses of the new", n.held(t, []*attachment{back, fresh}), addresses(t, mine[1:]))
	n.refused(t, ours)
	back.works(t, ours, theirs, fresh)
	theirs.works(t, reference)
	n.clean(t)
}

// TestRebootOfTheSameIDs: Podman, LXC and nerdctl start the same containers again, without a DEL before. The pool has
// an address for each.
//
// Claim: A reboot loses nothing and releases nothing live, whether written by Patchbay, the reference plugins or both
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

// TestSecondReboot: an address that was reclaimed and assigned again is reclaimed again after the next reboot.
//
// Claim: A reboot loses nothing and releases nothing live, whether written by Patchbay, the reference plugins or both
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

// TestRebootWithRecordsOnDisk: the state directory is not emptied by a reboot. Its records are of the previous boot,
// and stale.
//
// Claim: A reboot loses nothing and releases nothing live, whether written by Patchbay, the reference plugins or both
func TestRebootWithRecordsOnDisk(t *testing.T) {
	t.Parallel()
	n := newNode(t, "10.1.0.0/29")
	n.keys = cni.Conf{"stateDir": "/var/lib/patchbay/state"}
	mine := n.addAll(t, ours, "olda", "oldb", "oldc")
	theirs := n.addAll(t, reference, "oldd", "olde")
	want, kept := n.held(t, mine), n.held(t, theirs)
	n.Reboot()
	again := n.add(t, ours, "oldb") // the same container ID
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
