package verbs

import (
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

const marksDir = networksDir + "/.patchbay"

// marks are the marks of a network's addresses, and where each leads.
func marks(t *testing.T, h *nettest.Node) map[string]string {
	t.Helper()
	out := map[string]string{}
	h.Do(func() {
		entries, err := os.ReadDir(marksDir)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, e := range entries {
			target, err := os.Readlink(marksDir + "/" + e.Name())
			if err != nil {
				t.Fatal(err)
			}
			out[e.Name()] = target
		}
	})
	return out
}

// rebooted is a host that was rebooted with two containers on a network whose addresses stay; nobody made a DEL.
func rebooted(t *testing.T, n conf) (*nettest.Node, []*attachment) {
	t.Helper()
	h := nettest.Host(t)
	all, _ := containers(t, h, 2, n)
	h.Reboot()
	for _, a := range all {
		a.state = ""
	}
	return h, all
}

// TestMarksTellOurAddresses from host-local's where both write, and go with them. Where only we write there are none.
func TestMarksTellOurAddresses(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	ipamCall(t, h, "host-local", "theirs", twoRanges()).add(t)
	a, _ := attach(t, h, h.Container("c"), few(outsideDir()))
	got := marks(t, h)
	expect.Equal(t, "marks", len(got), 1)
	boot := strings.TrimSpace(h.Run(t, "cat", "/proc/sys/kernel/random/boot_id"))
	life := strings.TrimSpace(h.Run(t, "readlink", "/run/patchbay/.life"))
	expect.Contains(t, got["10.1.0.3"], boot+"."+life+".")
	a.del(t)
	expect.Equal(t, "marks after DEL", marks(t, h), map[string]string{})
	b, _ := attach(t, h, h.Container("d"), few())
	if entries := h.Run(t, "ls", "-A", addressDir(b)); strings.Contains(entries, ".patchbay") {
		t.Errorf("marks in the state directory: %s", entries)
	}
}

// TestHostLocalIsNotDisturbedByMarks: its ADD, CHECK and DEL beside ours, each with its own addresses.
func TestHostLocalIsNotDisturbedByMarks(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	ours := ipamCall(t, h, "patchbay", "ours", twoRanges())
	ours.add(t)
	theirs := ipamCall(t, h, "host-local", "theirs", twoRanges())
	expect.Equal(t, "addresses", addresses(theirs.add(t)), []string{"10.1.0.3/24", "fd00:1::3/64"})
	theirs.check(t)
	theirs.del(t)
	ours.check(t)
	expect.Equal(t, "holders", holders(t, h, networksDir), map[string]string{"10.1.0.2": "ours\r\neth0", "fd00:1::2": "ours\r\neth0"})
	expect.Equal(t, "marks", len(marks(t, h)), 2)
}

// TestRebootFreesOurAddresses when they are needed; those that host-local gave, before or since, are not ours to free.
func TestRebootFreesOurAddresses(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := few(outsideDir(), conf{"ranges": [][]conf{{{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.5"}}}})
	section := conf{"ranges": n["ipam"].(conf)["ranges"]}
	before := ipamCall(t, h, "host-local", "before", section)
	before.add(t)
	all, _ := containers(t, h, 2, n)
	h.Reboot()
	for _, a := range all {
		a.state = ""
	}
	since := ipamCall(t, h, "host-local", "since", section)
	since.add(t)
	status(t, h, n).OK(t)
	next, r := attach(t, h, h.Container("next"), n)
	expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.3/24"})
	expect.Equal(t, "holders", holders(t, h, networksDir), map[string]string{
		"10.1.0.2": "before\r\neth0", "10.1.0.3": "next", "10.1.0.5": "since\r\neth0",
	})
	expect.Equal(t, "marks", len(marks(t, h)), 1)
	next.check(t)
	before.check(t)
	since.check(t)
}

// TestRebootThenHostLocalGivesTheSameAddress to the same container: it is alive, and no longer ours, whatever mark or record there is.
func TestRebootThenHostLocalGivesTheSameAddress(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]string{"record lost": "/run/patchbay", "record kept": "/var/lib/state"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := conf{"ranges": [][]conf{{{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"}}}}
			h := nettest.Host(t)
			n := few(outsideDir(), one).with(conf{"stateDir": state})
			a, _ := attach(t, h, h.Container("c"), n)
			h.Reboot()
			a.state = ""
			theirs := ipamCall(t, h, "host-local", a.id, one)
			theirs.del(t)
			expect.Equal(t, "addresses", addresses(theirs.add(t)), []string{"10.1.0.9/24"})
			on(h, h.Container("d"), n).fails(t, "ADD", codeTryAgain)
			theirs.check(t)
			expect.Equal(t, "STATUS", status(t, h, n).Error(t).Code, codeNotReady)
			expect.Equal(t, "marks", marks(t, h), map[string]string{}) // the one of a file that is gone was swept away
		})
	}
}

// TestRestartOfANodeInAContainer is no boot, but another life in another namespace. The same with the namespace kept tells nothing.
func TestRestartOfANodeInAContainer(t *testing.T) {
	t.Parallel()
	for name, moved := range map[string]bool{"new namespace": true, "state directory lost": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			all, _ := containers(t, h, 2, few(outsideDir()))
			h.Restart()
			for _, a := range all {
				a.state = ""
			}
			next := on(h, h.Container("next"), few(outsideDir()))
			if !moved {
				next.fails(t, "ADD", codeTryAgain)
				all[0].del(t)
				all[1].del(t)
				return
			}
			for addr, mark := range marks(t, h) { // the host of a test stays, so the mark moves
				f := strings.Split(mark, ".")
				f[2] = "9" + f[2]
				h.Run(t, "ln", "-sfn", strings.Join(f, "."), marksDir+"/"+addr)
			}
			expect.Equal(t, "addresses", addresses(next.add(t)), []string{"10.1.0.2/24"})
			expect.Equal(t, "holders", holders(t, h, networksDir), map[string]string{"10.1.0.2": "next"})
		})
	}
}

// TestAddAfterRebootKeepsAddress where the records outlive it: the runtime starts its containers again under their IDs.
func TestAddAfterRebootKeepsAddress(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]conf{
		"our own network":  few().with(conf{"stateDir": "/var/lib/state"}),
		"another plugin's": few().with(conf{"stateDir": "/var/lib/state", "type": "macvlan"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, all := rebooted(t, n)
			again := on(h, h.Container("cb"), n)
			expect.Equal(t, "addresses", addresses(again.add(t)), []string{"10.1.0.3/24"})
			again.check(t)
			all[0].netns = ""
			all[0].del(t)
			again.check(t)
		})
	}
}

// TestLateDelAfterReboot: what its prevResult names is another container's by now.
func TestLateDelAfterReboot(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]conf{
		"all of the state lost": few(), "addresses kept": few(outsideDir()),
		"records kept": few().with(conf{"stateDir": "/var/lib/state"}), "both kept": few(outsideDir()).with(conf{"stateDir": "/var/lib/state"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, old := rebooted(t, n)
			next := on(h, h.Container("next"), n)
			next.args = "IP=10.1.0.2"
			expect.Equal(t, "addresses", addresses(next.add(t)), []string{"10.1.0.2/24"})
			for _, a := range old {
				expect.Contains(t, string(a.prev), "10.1.0.")
				a.del(t)
				a.netns = ""
				a.del(t)
			}
			next.check(t)
			other, r := attach(t, h, h.Container("other"), n)
			expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.3/24"})
			other.check(t)
		})
	}
}

// TestLateDelOfAChainAfterReboot: an interface of that name is plugged in for another container by now.
func TestLateDelOfAChainAfterReboot(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := network(pool("10.1.0.0/24"), conf{"stateDir": "/var/lib/state"})
	old := chained(h, h.Container("c"), n, tap(t, h))
	old.add(t)
	h.Reboot()
	old.state = ""
	h.Baseline()
	next := chained(h, h.Container("d"), n, tap(t, h))
	next.add(t)
	old.del(t)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{"tap0"})
	next.check(t)
}
