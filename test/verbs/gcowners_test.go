package verbs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestGCOfNullSparesOwnersAndAddsUnderWay: CRI-O calls GC with null when it starts. What a person has plugged in lives, what
// LXC has, and an ADD of another runtime that is under way; what runtimes have left goes.
func TestGCOfNullSparesOwnersAndAddsUnderWay(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 5, network(defaultGateway(), pool("10.1.0.0/24", "fd00:1::/64")))
	cli, lxc, dead := all[0], all[1], all[2:]
	editRecord(t, cli, `"owner": "cni"`, `"owner": "cli"`)
	editRecord(t, lxc, `"owner": "cni"`, `"owner": "lxc"`)
	c := h.Container("under-way")
	a := on(h, c, slow())
	running := midway(t, a, c)
	gc(t, h, slow(), valid(nil)).OK(t)
	collected(t, dead...)
	cli.check(t)
	lxc.check(t)
	a.prev = running.Wait(t).OK(t).Stdout
	a.check(t)
	a.del(t)
}

// TestGCSparesAnAddThatWaits for the addresses of the network: it has an empty record, that it holds, and an address file of
// its own would look as if nobody had it.
func TestGCSparesAnAddThatWaits(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	first, _ := attach(t, h, h.Container("first"), everything())
	a := on(h, c, everything())
	answer := whileWaiting(t, h, a, func() {
		writeFile(t, h, addressDir(a)+"/10.1.0.77", a.id+"\r\neth0")
		age(t, h, addressDir(a)+"/10.1.0.77", -time.Minute)
		gc(t, h, everything(), valid(listed(first))).OK(t)
		expect.Equal(t, "address", files(t, h, addressDir(a))["10.1.0.77"], a.id+"\r\neth0")
	})
	a.prev = answer.OK(t).Stdout
	a.check(t)
	a.del(t)
	gc(t, h, everything(), valid(listed(first))).OK(t)
	expect.Equal(t, "address that nobody has", files(t, h, addressDir(a))["10.1.0.77"], "")
	first.check(t)
}

// TestGCSparesOtherOwnersWithoutRecord: the alias of the cable tells that no runtime has made it, and so its address is in use.
func TestGCSparesOtherOwnersWithoutRecord(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*testing.T, *attachment){
		"without a record": func(t *testing.T, a *attachment) { removeAll(t, a.h, recordPath(a)) },
		"a torn record":    func(t *testing.T, a *attachment) { writeFile(t, a.h, recordPath(a), `{"vers`) },
		"an empty record":  func(t *testing.T, a *attachment) { writeFile(t, a.h, recordPath(a), "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			all, results := containers(t, h, 2, everything())
			mine, host := all[0], hostEnd(t, results[0])
			alias := linkOf(t, h.Netns, host).Attrs().Alias
			h.Run(t, "ip", "link", "set", host, "alias", strings.Replace(alias, " net/", " cli:net/", 1))
			spoil(t, mine)
			answer := gc(t, h, everything(), valid(nil)).OK(t)
			expect.Contains(t, string(answer.Stderr), "no runtime has made it; leaving it")
			collected(t, all[1])
			expect.Equal(t, "cable", hasLink(t, h.Netns, host), true)
			expect.Equal(t, "address", files(t, h, addressDir(mine))["10.1.0.2"], mine.id+"\r\neth0")
		})
	}
}

// TestGCSparesRecordsOfTheFuture, of which it cannot be read who made the attachment. If its cable tells that a runtime did, or the
// record does, it goes.
func TestGCSparesRecordsOfTheFuture(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d, e := h.Container("c"), h.Container("d"), h.Container("e")
	gone, _ := attach(t, h, c, everything())
	stale, _ := attach(t, h, d, everything())
	told, _ := attach(t, h, e, everything())
	for _, a := range []*attachment{gone, stale, told} {
		editRecord(t, a, fmt.Sprintf(`"version": %d`, store.RecordVersion()), `"version": 99`)
	}
	for _, a := range []*attachment{gone, stale} {
		editRecord(t, a, `"owner": "cni"`, `"owner": 7`)
	}
	for c, a := range map[*nettest.Container]*attachment{c: gone, e: told} {
		host := hostEnd(t, a.result(t))
		c.Delete()
		linkGone(t, h.Netns, host)
	}
	answer := gc(t, h, everything(), valid(nil)).OK(t)
	expect.Contains(t, string(answer.Stderr), recordPath(gone), "written by a newer patchbay", "leaving it")
	expect.Equal(t, "record", exists(h, recordPath(gone)), true)
	collected(t, stale)
	collected(t, told)
	gone.del(t)
}

// TestGCSparesWhatCameAfterTheList: an ADD of the same container, and one of another, between a runtime's list and its GC are
// the runtime's to list; one that comes when GC has looked is newer than GC.
func TestGCSparesWhatCameAfterTheList(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 2, everything())
	list := valid(listed(all[0], all[1]))
	all[1].del(t)
	all[1].prev = nil
	all[1].add(t)
	late, _ := attach(t, h, h.Container("late"), everything())
	editRecord(t, late, `"created": "2`, `"created": "9`)
	gc(t, h, everything(), list).OK(t)
	for _, a := range append(all, late) {
		a.check(t)
	}
}
