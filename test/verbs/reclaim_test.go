package verbs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const codeTryAgain = 11

// few returns a network with two addresses, .2 and .3.
func few(keys ...cni.Conf) cni.Conf {
	section := cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.3"}}}}
	return cni.Network(cni.DefaultGateway(), cni.IPAM(section.With(keys...)))
}

// outsideDir sets dataDir to host-local's directory, which outlives a reboot.
func outsideDir() cni.Conf { return cni.Conf{"dataDir": "/var/lib/cni/networks"} }

// loseContainer deletes a container without a DEL.
func (a *attachment) loseContainer(t *testing.T, c *nettest.Container) {
	t.Helper()
	host := hostEnd(t, a.result(t))
	c.Delete()
	linkGone(t, a.h.Netns, host)
	a.state = ""
}

// holders returns the owners in a network's address files.
func holders(t *testing.T, h *nettest.Node, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, text := range files(t, h, dir) {
		if name != "lock" && !strings.HasPrefix(name, "last_reserved_ip.") {
			out[name], _, _ = strings.Cut(text, "-")
		}
	}
	return out
}

// TestAddReclaimsStaleAttachments: if no address is left ADD removes everything of a deleted container, and nothing of
// live ones.
//
// Claim: An ADD that finds no free address reclaims those of stale attachments, and only then looks at other networks
// Claim: Live attachments, containers of other hosts and other plugins, and unreadable records are never reclaimed
func TestAddReclaimsStaleAttachments(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]cni.Conf{"in the state directory": nil, "outside": outsideDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c, d := h.Container("c"), h.Container("d")
			stale, _ := attach(t, h, c, few(keys))
			live, _ := attach(t, h, d, few(keys))
			stale.loseContainer(t, c)
			next, r := attach(t, h, h.Container("e"), few(keys))
			expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.2/24"})
			if _, found := files(t, h, "/run/patchbay/net")[stale.id+"@eth0.json"]; found {
				t.Error("the stale attachment's record is still there")
			}
			live.check(t)
			next.check(t)
			on(h, h.Container("f"), few(keys)).fails(t, "ADD", codeTryAgain)
			stale.del(t) // late: nothing is left to remove
			next.check(t)
		})
	}
}

// TestAddReclaimsOnlyIfNeeded: while an address is free ADD reads no other record, and no directory except that of the
// notes of bridges, which has a file for each network.
//
// Claim: An ADD that finds no free address reclaims those of stale attachments, and only then looks at other networks
func TestAddReclaimsOnlyIfNeeded(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.Tool("strace"))
	h := nettest.Host(t)
	c := h.Container("c")
	n := cni.Network(cni.Pool("10.1.0.0/24"))
	stale, _ := attach(t, h, c, n)
	stale.loseContainer(t, c)
	a := on(h, h.Container("d"), n)
	trace := traced(t, h, a.call(t, "ADD"), "openat,getdents64")
	expect.Contains(t, trace, a.id+"@eth0.json")
	if strings.Contains(trace, stale.id) {
		t.Errorf("another record was read:\n%s", trace)
	}
	for _, line := range strings.Split(trace, "\n") {
		if strings.Contains(line, "O_DIRECTORY") && !strings.Contains(line, `"/run/patchbay/.bridges"`) {
			t.Errorf("a directory was opened: %s", line)
		}
	}
	a.del(t)
	stale.del(t)
}

// TestAddReclaimsRequestedAddress: the requested address belongs to a stale attachment.
//
// Claim: An ADD that finds no free address reclaims those of stale attachments, and only then looks at other networks
func TestAddReclaimsRequestedAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	n := cni.Network(cni.Pool("10.1.0.0/24"))
	stale, _ := attach(t, h, c, n)
	stale.loseContainer(t, c)
	a := on(h, h.Container("d"), n)
	a.args = "IP=10.1.0.2"
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.2/24"})
}

// TestReclaimSkipsLockedRecords: a locked record without an interface belongs to a pending ADD.
//
// Claim: Verbs of one attachment run one at a time; GC and address reclaim skip attachments that are locked
func TestReclaimSkipsLockedRecords(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	stale, _ := attach(t, h, c, few())
	attach(t, h, h.Container("d"), few())
	stale.loseContainer(t, c)
	a := on(h, h.Container("e"), few())
	held := hold(t, h, recordPath(stale))
	a.fails(t, "ADD", codeTryAgain)
	expect.Equal(t, "STATUS", status(t, h, few()).Error(t).Code, codeNotReady)
	held.Close()
	status(t, h, few()).OK(t)
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.2/24"})
}

// hold locks a file of the host as a verb does.
func hold(t *testing.T, h *nettest.Node, path string) (f *os.File) {
	t.Helper()
	h.Do(func() {
		var err error
		if f, err = os.Open(path); err != nil {
			t.Fatal(err)
		}
	})
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestReclaimKeepsOtherHosts: the interface of the record would be in the network namespace of another host, which
// exists.
//
// Claim: An attachment whose host and container namespaces no longer exist is stale; one of an existing host is kept, wherever its
// namespace is held
// Claim: Live attachments, containers of other hosts and other plugins, and unreadable records are never reclaimed
func TestReclaimKeepsOtherHosts(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	other, _ := attach(t, h, c, few())
	neighbour, _ := attach(t, h, h.Container("d"), few())
	other.loseContainer(t, c)
	hostedBy(t, other, neighbour)
	on(h, h.Container("e"), few()).fails(t, "ADD", codeTryAgain)
	expect.Equal(t, "holders", holders(t, h, addressDir(other)), map[string]string{"10.1.0.2": "c", "10.1.0.3": "d"})
	expect.Equal(t, "STATUS", status(t, h, few()).Error(t).Code, codeNotReady)
	other.del(t)
}

// hostedBy changes the record of an attachment so that its host is the namespace of another container.
func hostedBy(t *testing.T, a, other *attachment) {
	t.Helper()
	var record struct{ HostCookie, HostInode, NetnsCookie, NetnsInode uint64 }
	if err := json.Unmarshal([]byte(files(t, other.h, filepath.Dir(recordPath(other)))[filepath.Base(recordPath(other))]), &record); err != nil {
		t.Fatal(err)
	}
	editRecord(t, a, fmt.Sprintf(`"hostCookie": %d`, record.HostCookie), fmt.Sprintf(`"hostCookie": %d`, record.NetnsCookie))
	editRecord(t, a, fmt.Sprintf(`"hostInode": %d`, record.HostInode), fmt.Sprintf(`"hostInode": %d`, record.NetnsInode))
}

func editRecord(t *testing.T, a *attachment, was, is string) {
	t.Helper()
	text := files(t, a.h, filepath.Dir(recordPath(a)))[filepath.Base(recordPath(a))]
	expect.Contains(t, text, was)
	writeFile(t, a.h, recordPath(a), strings.Replace(text, was, is, 1))
}

// TestReclaimKeepsContainersOfOtherPlugins: as an IPAM plugin Patchbay has no interface that shows whether the
// attachment is live.
//
// Claim: Live attachments, containers of other hosts and other plugins, and unreadable records are never reclaimed
func TestReclaimKeepsContainersOfOtherPlugins(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := few().With(cni.Conf{"type": "macvlan", "stateDir": "/var/lib/state"})
	first := on(h, h.Container("c"), n)
	first.add(t)
	attach(t, h, h.Container("d"), n)
	third := on(h, h.Container("e"), n)
	third.fails(t, "ADD", codeTryAgain)
	expect.Equal(t, "STATUS", status(t, h, n).Error(t).Code, codeNotReady)
	h.Reboot() // no network namespace outlives a reboot
	status(t, h, n).OK(t)
	expect.Equal(t, "addresses", addresses(third.add(t)), []string{"10.1.0.2/24"})
	expect.Equal(t, "records", len(files(t, h, "/var/lib/state/net")), 1)
}

// TestReclaimKeepsUnreadableRecords: and reports them.
//
// Claim: Live attachments, containers of other hosts and other plugins, and unreadable records are never reclaimed
func TestReclaimKeepsUnreadableRecords(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	stale, _ := attach(t, h, c, few())
	attach(t, h, h.Container("d"), few())
	stale.loseContainer(t, c)
	writeFile(t, h, recordPath(stale), `{"version": 1, "netw`)
	answer := on(h, h.Container("e"), few()).run(t, "ADD")
	expect.Equal(t, "code", answer.Error(t).Code, codeTryAgain)
	expect.Contains(t, string(answer.Stderr), "patchbay: record "+recordPath(stale)+": unreadable record", "only its DEL or GC releases its addresses")
	stale.del(t)
}

// TestStatusCountsStaleAttachments: STATUS counts addresses that an ADD would reclaim as free, and reclaims none.
//
// Claim: A full pool is code 50 only if no stale attachment holds an address; with `statusOnFull` `warn` it is a line on stderr
// Claim: An ADD that finds no free address reclaims those of stale attachments, and only then looks at other networks
func TestStatusCountsStaleAttachments(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]cni.Conf{"in the state directory": nil, "outside": outsideDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c, d := h.Container("c"), h.Container("d")
			stale, _ := attach(t, h, c, few(keys))
			attach(t, h, d, few(keys))
			expect.Equal(t, "code", status(t, h, few(keys)).Error(t).Code, codeNotReady)
			stale.loseContainer(t, c)
			before := picture(t, h, d)
			status(t, h, few(keys)).OK(t)
			expect.Equal(t, "picture", picture(t, h, d), before)
			stale.del(t)
		})
	}
}

// TestReclaimRemovesRouteToSingleAddress: the host route of the stale attachment is removed, and the next one gets its
// own.
//
// Claim: An ADD that finds no free address reclaims those of stale attachments, and only then looks at other networks
func TestReclaimRemovesRouteToSingleAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	stale, _ := attach(t, h, c, cni.Network(cni.DefaultGateway(), singles()))
	stale.loseContainer(t, c)
	next, r := attach(t, h, h.Container("d"), cni.Network(cni.DefaultGateway(), singles()))
	expect.Equal(t, "addresses", addresses(r), []string{"10.9.0.5/32", "fd00:9::5/128"})
	next.check(t)
	next.del(t)
	expect.Equal(t, "routes", ip(t, h.Netns, "route show 10.9.0.5")+ip(t, h.Netns, "-6 route show fd00:9::5"), "")
}
