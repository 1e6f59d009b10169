package verbs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestGCOfNullKeepsOtherOwnersAndPendingAdds: CRI-O calls GC with null when it starts. Attachments of commands and of
// LXC are kept, and so is an ADD of another runtime that has not finished; what runtimes have left is removed.
//
// Claim: GC with `null` keeps attachments of `cli` and `lxc`, ADDs in progress and attachments newer than the list; it removes stale
// attachments
func TestGCOfNullKeepsOtherOwnersAndPendingAdds(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 5, cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	cli, lxc, stale := all[0], all[1], all[2:]
	editRecord(t, cli, `"owner": "cni"`, `"owner": "cli"`)
	editRecord(t, lxc, `"owner": "cni"`, `"owner": "lxc"`)
	c := h.Container("under-way")
	a := on(h, c, slow())
	running := midway(t, a, c)
	gc(t, h, slow(), valid(nil)).OK(t)
	collected(t, stale...)
	cli.check(t)
	lxc.check(t)
	a.prev = running.Wait(t).OK(t).Stdout
	a.check(t)
	a.del(t)
}

// TestGCKeepsAWaitingAdd: the ADD waits for the addresses of the network. It has locked an empty record, and without
// that its address file would look unused.
//
// Claim: GC with `null` keeps attachments of `cli` and `lxc`, ADDs in progress and attachments newer than the list; it removes stale
// attachments
func TestGCKeepsAWaitingAdd(t *testing.T) {
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

// TestGCKeepsOtherOwnersWithoutRecord: the alias of the host interface says that no runtime created it, so its address
// is in use.
//
// Claim: GC with `null` keeps attachments of `cli` and `lxc`, ADDs in progress and attachments newer than the list; it removes stale
// attachments
func TestGCKeepsOtherOwnersWithoutRecord(t *testing.T) {
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
			expect.Equal(t, "host interface", hasLink(t, h.Netns, host), true)
			expect.Equal(t, "address", files(t, h, addressDir(mine))["10.1.0.2"], mine.id+"\r\neth0")
		})
	}
}

// TestGCKeepsRecordsOfNewerVersions: a record of a newer version is kept if its owner cannot be read. It is removed if the
// record or the host interface says that a runtime created it.
//
// Claim: GC with `null` keeps attachments of `cli` and `lxc`, ADDs in progress and attachments newer than the list; it removes stale
// attachments
func TestGCKeepsRecordsOfNewerVersions(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d, e := h.Container("c"), h.Container("d"), h.Container("e")
	unreadable, _ := attach(t, h, c, everything())
	stale, _ := attach(t, h, d, everything())
	ofRuntime, _ := attach(t, h, e, everything())
	for _, a := range []*attachment{unreadable, stale, ofRuntime} {
		editRecord(t, a, fmt.Sprintf(`"version": %d`, store.RecordVersion()), `"version": 99`)
	}
	for _, a := range []*attachment{unreadable, stale} {
		editRecord(t, a, `"owner": "cni"`, `"owner": 7`)
	}
	for c, a := range map[*nettest.Container]*attachment{c: unreadable, e: ofRuntime} {
		host := hostEnd(t, a.result(t))
		c.Delete()
		linkGone(t, h.Netns, host)
	}
	answer := gc(t, h, everything(), valid(nil)).OK(t)
	expect.Contains(t, string(answer.Stderr), recordPath(unreadable), "written by a newer patchbay", "leaving it")
	expect.Equal(t, "record", exists(h, recordPath(unreadable)), true)
	collected(t, stale)
	collected(t, ofRuntime)
	unreadable.del(t)
}

// TestGCKeepsAttachmentsAddedAfterTheList: GC keeps an attachment that was added after GC had looked. One that was
// added between the runtime's list and its GC is the runtime's to list.
//
// Claim: GC with `null` keeps attachments of `cli` and `lxc`, ADDs in progress and attachments newer than the list; it removes stale
// attachments
func TestGCKeepsAttachmentsAddedAfterTheList(t *testing.T) {
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
