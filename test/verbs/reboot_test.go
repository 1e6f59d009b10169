package verbs

import (
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const marksDir = networksDir + "/.patchbay"

// marks returns the targets of the marks of a network's addresses, by address.
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

// rebooted returns a host that was rebooted with two containers on a network with sticky addresses, without a DEL.
func rebooted(t *testing.T, n cni.Conf) (*nettest.Node, []*attachment) {
	t.Helper()
	h := nettest.Host(t)
	all, _ := containers(t, h, 2, n)
	h.Reboot()
	for _, a := range all {
		a.state = ""
	}
	return h, all
}

// TestMarksIdentifyOurAddresses: where host-local writes addresses too, each of ours has a mark, which is deleted with
// it. Where only Patchbay writes there are no marks.
//
// Claim: Marks distinguish Patchbay's addresses from host-local's and do not affect host-local
func TestMarksIdentifyOurAddresses(t *testing.T) {
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
	alone := nettest.Host(t)
	b, _ := attach(t, alone, alone.Container("d"), few())
	if entries := alone.Run(t, "ls", "-A", addressDir(b)); strings.Contains(entries, ".patchbay") {
		t.Errorf("marks in the state directory: %s", entries)
	}
}

// TestHostLocalIsNotDisturbedByMarks: host-local's ADD, CHECK and DEL work beside ours, each with its own addresses.
//
// Claim: Marks distinguish Patchbay's addresses from host-local's and do not affect host-local
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

// TestRebootReleasesOurAddresses: ADD releases addresses of the previous boot when it needs them, but never those that
// host-local reserved, before or since.
//
// Claim: After a reboot only addresses with Patchbay's own mark are released, and none that a live attachment has
func TestRebootReleasesOurAddresses(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := few(outsideDir(), cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.5"}}}})
	section := cni.Conf{"ranges": n["ipam"].(cni.Conf)["ranges"]}
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

// TestRebootThenHostLocalGivesTheSameAddress: the container is live, and host-local owns the address now, whatever
// mark or record is left.
//
// Claim: After a reboot only addresses with Patchbay's own mark are released, and none that a live attachment has
func TestRebootThenHostLocalGivesTheSameAddress(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]string{"record lost": "/run/patchbay", "record kept": "/var/lib/state"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"}}}}
			h := nettest.Host(t)
			n := few(outsideDir(), one).With(cni.Conf{"stateDir": state})
			a, _ := attach(t, h, h.Container("c"), n)
			h.Reboot()
			a.state = ""
			theirs := ipamCall(t, h, "host-local", a.id, one)
			theirs.del(t)
			expect.Equal(t, "addresses", addresses(theirs.add(t)), []string{"10.1.0.9/24"})
			on(h, h.Container("d"), n).fails(t, "ADD", codeTryAgain)
			theirs.check(t)
			expect.Equal(t, "STATUS", status(t, h, n).Error(t).Code, codeNotReady)
			expect.Equal(t, "marks", marks(t, h), map[string]string{}) // the mark of the deleted address file was deleted
		})
	}
}

// TestRestartOfANodeInAContainer: a new network namespace with the same boot ID is not a reboot. A restart that keeps
// the namespace cannot be detected.
//
// Claim: After a reboot only addresses with Patchbay's own mark are released, and none that a live attachment has
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
			for addr, mark := range marks(t, h) { // the boot ID cannot change in a test, so change the mark
				f := strings.Split(mark, ".")
				f[2] = "9" + f[2]
				h.Run(t, "ln", "-sfn", strings.Join(f, "."), marksDir+"/"+addr)
			}
			expect.Equal(t, "addresses", addresses(next.add(t)), []string{"10.1.0.2/24"})
			expect.Equal(t, "holders", holders(t, h, networksDir), map[string]string{"10.1.0.2": "next"})
		})
	}
}

// TestAddAfterRebootKeepsAddress: the records outlive the reboot, and the runtime starts its containers again under
// their IDs.
//
// Claim: ADD that finds its own record handles an attachment that is live here, live elsewhere, undecidable, or stale
func TestAddAfterRebootKeepsAddress(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]cni.Conf{
		"our own network":  few().With(cni.Conf{"stateDir": "/var/lib/state"}),
		"another plugin's": few().With(cni.Conf{"stateDir": "/var/lib/state", "type": "macvlan"}),
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

// TestLateDelAfterReboot: the interface and address of its prevResult belong to another container now.
//
// Claim: After a reboot only addresses with Patchbay's own mark are released, and none that a live attachment has
func TestLateDelAfterReboot(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]cni.Conf{
		"all of the state lost": few(), "addresses kept": few(outsideDir()),
		"records kept": few().With(cni.Conf{"stateDir": "/var/lib/state"}), "both kept": few(outsideDir()).With(cni.Conf{"stateDir": "/var/lib/state"}),
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

// TestLateDelOfAChainAfterReboot: a bridge port of the same name belongs to another container now.
//
// Claim: After a reboot only addresses with Patchbay's own mark are released, and none that a live attachment has
func TestLateDelOfAChainAfterReboot(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := cni.Network(cni.Pool("10.1.0.0/24"), cni.Conf{"stateDir": "/var/lib/state"})
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
