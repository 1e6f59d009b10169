package verbs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

const codeTryAgain = 11

// few is a network with the addresses .2 and .3.
func few(keys ...conf) conf {
	section := conf{"ranges": [][]conf{{{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.3"}}}}
	return network(defaultGateway(), ipam(section.with(keys...)))
}

// outside has its addresses where a reboot leaves them, and host-local's are.
func outsideDir() conf { return conf{"dataDir": "/var/lib/cni/networks"} }

// die takes a container away, and nobody calls DEL.
func (a *attachment) die(t *testing.T, c *nettest.Container) {
	t.Helper()
	host := hostEnd(t, a.result(t))
	c.Delete()
	linkGone(t, a.h.Netns, host)
	a.state = ""
}

// holders are the owners of a network's address files.
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

// TestAddReclaimsTheDead when no address is left: all that a container without a DEL had is gone, and nothing of the living.
func TestAddReclaimsTheDead(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]conf{"in the state directory": nil, "outside": outsideDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c, d := h.Container("c"), h.Container("d")
			dead, _ := attach(t, h, c, few(keys))
			alive, _ := attach(t, h, d, few(keys))
			dead.die(t, c)
			next, r := attach(t, h, h.Container("e"), few(keys))
			expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.2/24"})
			if _, found := files(t, h, "/run/patchbay/net")[dead.id+"@eth0.json"]; found {
				t.Error("the dead one's record is still there")
			}
			alive.check(t)
			next.check(t)
			on(h, h.Container("f"), few(keys)).fails(t, "ADD", codeTryAgain)
			dead.del(t) // late, and about nothing any more
			next.check(t)
		})
	}
}

// TestAddLeavesTheDeadAlone while there is an address: it looks at no record and no directory.
func TestAddLeavesTheDeadAlone(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.Tool("strace"))
	h := nettest.Host(t)
	c := h.Container("c")
	n := network(pool("10.1.0.0/24"))
	dead, _ := attach(t, h, c, n)
	dead.die(t, c)
	a := on(h, h.Container("d"), n)
	trace := traced(t, h, a.call(t, "ADD"), "openat,getdents64")
	expect.Contains(t, trace, a.id+"@eth0.json")
	if strings.Contains(trace, "getdents64") || strings.Contains(trace, dead.id) {
		t.Errorf("a directory or another record was read:\n%s", trace)
	}
	a.del(t)
	dead.del(t)
}

// TestAddReclaimsRequestedAddress that a dead one has.
func TestAddReclaimsRequestedAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	n := network(pool("10.1.0.0/24"))
	dead, _ := attach(t, h, c, n)
	dead.die(t, c)
	a := on(h, h.Container("d"), n)
	a.args = "IP=10.1.0.2"
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.2/24"})
}

// TestReclaimSkipsWhatIsHeld: a record without a link whose lock somebody has is an ADD under way.
func TestReclaimSkipsWhatIsHeld(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	dead, _ := attach(t, h, c, few())
	attach(t, h, h.Container("d"), few())
	dead.die(t, c)
	a := on(h, h.Container("e"), few())
	held := hold(t, h, recordPath(dead))
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

// TestReclaimSparesOtherHosts: the record's link would be in another host's namespace, of which nothing is known here.
func TestReclaimSparesOtherHosts(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	other, _ := attach(t, h, c, few())
	attach(t, h, h.Container("d"), few())
	other.die(t, c)
	editRecord(t, other, `"hostCookie": `, `"hostCookie": 9`)
	on(h, h.Container("e"), few()).fails(t, "ADD", codeTryAgain)
	expect.Equal(t, "holders", holders(t, h, addressDir(other)), map[string]string{"10.1.0.2": "c", "10.1.0.3": "d"})
	expect.Equal(t, "STATUS", status(t, h, few()).Error(t).Code, codeNotReady)
	other.del(t)
}

func editRecord(t *testing.T, a *attachment, was, is string) {
	t.Helper()
	text := files(t, a.h, filepath.Dir(recordPath(a)))[filepath.Base(recordPath(a))]
	expect.Contains(t, text, was)
	writeFile(t, a.h, recordPath(a), strings.Replace(text, was, is, 1))
}

// TestReclaimSparesOtherPluginsContainers: where we are another main plugin's IPAM there is no link of ours to tell.
func TestReclaimSparesOtherPluginsContainers(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := few().with(conf{"type": "macvlan", "stateDir": "/var/lib/state"})
	first := on(h, h.Container("c"), n)
	first.add(t)
	attach(t, h, h.Container("d"), n)
	third := on(h, h.Container("e"), n)
	third.fails(t, "ADD", codeTryAgain)
	expect.Equal(t, "STATUS", status(t, h, n).Error(t).Code, codeNotReady)
	h.Reboot() // no namespace outlives that, whosever it is
	status(t, h, n).OK(t)
	expect.Equal(t, "addresses", addresses(third.add(t)), []string{"10.1.0.2/24"})
	expect.Equal(t, "records", len(files(t, h, "/var/lib/state/net")), 1)
}

// TestReclaimSparesUnreadableRecords, and says which.
func TestReclaimSparesUnreadableRecords(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	dead, _ := attach(t, h, c, few())
	attach(t, h, h.Container("d"), few())
	dead.die(t, c)
	writeFile(t, h, recordPath(dead), `{"version": 1, "netw`)
	answer := on(h, h.Container("e"), few()).run(t, "ADD")
	expect.Equal(t, "code", answer.Error(t).Code, codeTryAgain)
	expect.Contains(t, string(answer.Stderr), "patchbay: record "+recordPath(dead)+": unreadable record", "only its DEL or GC frees what it holds")
	dead.del(t)
}

// TestStatusCountsTheDead as what an ADD would reclaim, and reclaims nothing.
func TestStatusCountsTheDead(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]conf{"in the state directory": nil, "outside": outsideDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c, d := h.Container("c"), h.Container("d")
			dead, _ := attach(t, h, c, few(keys))
			attach(t, h, d, few(keys))
			expect.Equal(t, "code", status(t, h, few(keys)).Error(t).Code, codeNotReady)
			dead.die(t, c)
			before := picture(t, h, d)
			status(t, h, few(keys)).OK(t)
			expect.Equal(t, "picture", picture(t, h, d), before)
			dead.del(t)
		})
	}
}

// TestReclaimRemovesRouteToSingleAddress along with its owner: the next one has its own.
func TestReclaimRemovesRouteToSingleAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	dead, _ := attach(t, h, c, network(defaultGateway(), singles()))
	dead.die(t, c)
	next, r := attach(t, h, h.Container("d"), network(defaultGateway(), singles()))
	expect.Equal(t, "addresses", addresses(r), []string{"10.9.0.5/32", "fd00:9::5/128"})
	next.check(t)
	next.del(t)
	expect.Equal(t, "routes", ip(t, h.Netns, "route show 10.9.0.5")+ip(t, h.Netns, "-6 route show fd00:9::5"), "")
}
