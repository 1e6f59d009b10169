package takeover

import (
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestOursBesideRunningReference: containers of the reference run on while ours come to their bridge. No address is given twice,
// the round robin is one, and all reach each other.
func TestOursBesideRunningReference(t *testing.T) {
	t.Parallel()
	n := newNode(t, "10.1.0.0/24")
	old := n.addAll(t, reference, "r1", "r2", "r3")
	fresh := n.addAll(t, ours, "p1", "p2", "p3")
	expect.Equal(t, "addresses", addresses(t, append(old, fresh...)),
		[]string{"10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6", "10.1.0.7"})
	old[0].works(t, reference, fresh...)
	fresh[0].works(t, ours, old...)
	n.clean(t)
}

// TestReferenceBesideOurs: the node is given back, and the reference works on with our files, with the marks among them.
func TestReferenceBesideOurs(t *testing.T) {
	t.Parallel()
	n := newNode(t, "10.1.0.0/24")
	old := n.addAll(t, ours, "p1", "p2", "p3")
	fresh := n.addAll(t, reference, "r1", "r2", "r3")
	expect.Equal(t, "addresses", addresses(t, append(old, fresh...)),
		[]string{"10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6", "10.1.0.7"})
	old[0].works(t, ours, fresh...)
	fresh[0].works(t, reference, old...)
	n.clean(t)
}

// TestEachDelFreesItsOwn, whoever gave the address, whoever makes the DEL, in whatever order.
func TestEachDelFreesItsOwn(t *testing.T) {
	t.Parallel()
	for _, by := range []plugin{ours, reference} {
		t.Run("by "+string(by), func(t *testing.T) {
			t.Parallel()
			n := newNode(t, "10.1.0.0/24")
			all := append(n.addAll(t, reference, "r1", "r2", "r3"), n.addAll(t, ours, "p1", "p2", "p3")...)
			for _, i := range []int{4, 0, 2} {
				all[i].del(t, by)
			}
			all[1].works(t, reference, all[3]) // who is left lives on
			all[3].works(t, ours, all[5])
			for _, i := range []int{5, 3, 1} {
				all[i].del(t, by)
			}
			expect.Equal(t, "address files", n.files(t), map[string]string{})
			n.clean(t) // what we know of ours that the reference took away goes with our DEL
		})
	}
}

// TestLateDelSparesTheNextOwner: the reference freed our container's address and gave it to one of its own. Our DEL, when it comes,
// is about ours.
func TestLateDelSparesTheNextOwner(t *testing.T) {
	t.Parallel()
	n := newNode(t, "10.1.0.0/24")
	first := n.add(t, ours, "p1")
	first.del(t, reference)
	next := n.add(t, reference, "r1", "IgnoreUnknown=1", "IP="+first.address(t))
	first.del(t, ours)
	expect.Equal(t, "address files", n.files(t), map[string]string{first.address(t): next.owner()})
	next.works(t, reference)
	n.clean(t)
}

// TestFullPoolOfBoth: nobody who is alive loses an address to our ADD, and nobody of the reference ever does. A container of ours
// whose namespace is gone does.
func TestFullPoolOfBoth(t *testing.T) {
	t.Parallel()
	n := newNode(t, "10.1.0.0/29") // .2 to .6
	theirs := n.addAll(t, reference, "r1", "r2", "r3")
	mine := n.addAll(t, ours, "p1", "p2")
	n.refused(t, ours)
	n.refused(t, reference)
	n.die(t, theirs[0])
	n.refused(t, ours)
	n.die(t, mine[0])
	heir := n.add(t, ours, "heir")
	expect.Equal(t, "the heir's address", heir.address(t), mine[0].address(t))
	n.refused(t, ours)
	mine[1].works(t, ours, theirs[1], theirs[2], heir)
	mine[0].del(t, ours) // too late: it is the heir's
	heir.works(t, ours)
	n.clean(t)
}

// die deletes a container and waits for the kernel to destroy its cable.
func (n *node) die(t *testing.T, a *attachment) {
	t.Helper()
	l, err := a.c.Netlink().LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	peer := l.Attrs().ParentIndex
	updates, stop := make(chan netlink.LinkUpdate, 256), make(chan struct{})
	defer close(stop)
	n.Do(func() { err = netlink.LinkSubscribe(updates, stop) })
	if err != nil {
		t.Fatal(err)
	}
	a.c.Delete()
	for u := range updates {
		if u.Header.Type == unix.RTM_DELLINK && u.Attrs().Index == peer {
			return
		}
	}
}
