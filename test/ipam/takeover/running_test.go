package takeover

import (
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestOursBesideRunningReference: Patchbay attaches containers to the bridge of running containers of the reference.
// No address is assigned twice, both share one round robin, and all containers reach each other.
//
// Claim: A node is taken over from the reference plugins while containers run, and back: no address given twice; each DEL releases its own
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

// TestReferenceBesideOurs: the reference plugins replace Patchbay and use its files, with the marks among them.
//
// Claim: A node is taken over from the reference plugins while containers run, and back: no address given twice; each DEL releases its own
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

// TestEachDelReleasesItsOwn: whichever plugin assigned the address, whichever gets the DEL, in any order.
//
// Claim: A node is taken over from the reference plugins while containers run, and back: no address given twice; each DEL releases its own
func TestEachDelReleasesItsOwn(t *testing.T) {
	t.Parallel()
	for _, by := range []plugin{ours, reference} {
		t.Run("by "+string(by), func(t *testing.T) {
			t.Parallel()
			n := newNode(t, "10.1.0.0/24")
			all := append(n.addAll(t, reference, "r1", "r2", "r3"), n.addAll(t, ours, "p1", "p2", "p3")...)
			for _, i := range []int{4, 0, 2} {
				all[i].del(t, by)
			}
			all[1].works(t, reference, all[3]) // the remaining ones keep their connection
			all[3].works(t, ours, all[5])
			for _, i := range []int{5, 3, 1} {
				all[i].del(t, by)
			}
			expect.Equal(t, "address files", n.files(t), map[string]string{})
			n.clean(t) // our DEL removes the records of attachments that the reference deleted
		})
	}
}

// TestLateDelKeepsTheNextOwner: the reference released the address of a container of Patchbay and assigned it to one
// of its own. The late DEL of Patchbay keeps it.
//
// Claim: A node is taken over from the reference plugins while containers run, and back: no address given twice; each DEL releases its own
func TestLateDelKeepsTheNextOwner(t *testing.T) {
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

// TestFullPoolOfBoth: an ADD of Patchbay never takes the address of a live attachment, nor of any of the reference
// plugin. It takes that of an attachment of Patchbay whose namespace no longer exists.
//
// Claim: A node is taken over from the reference plugins while containers run, and back: no address given twice; each DEL releases its own
func TestFullPoolOfBoth(t *testing.T) {
	t.Parallel()
	n := newNode(t, "10.1.0.0/29") // .2 to .6
	theirs := n.addAll(t, reference, "r1", "r2", "r3")
	mine := n.addAll(t, ours, "p1", "p2")
	n.refused(t, ours)
	n.refused(t, reference)
	n.loseContainer(t, theirs[0])
	n.refused(t, ours)
	n.loseContainer(t, mine[0])
	heir := n.add(t, ours, "heir")
	expect.Equal(t, "the heir's address", heir.address(t), mine[0].address(t))
	n.refused(t, ours)
	mine[1].works(t, ours, theirs[1], theirs[2], heir)
	mine[0].del(t, ours) // a late DEL: the address has a new owner
	heir.works(t, ours)
	n.clean(t)
}

// loseContainer deletes a container and waits for the kernel to delete its veth pair.
func (n *node) loseContainer(t *testing.T, a *attachment) {
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
