package verbs

import (
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// gc calls GC as a runtime does. valid holds the key with the list of valid attachments, or no key.
func gc(t *testing.T, h *nettest.Node, n, valid cni.Conf) nettest.Answer {
	t.Helper()
	return h.CNI(t, nettest.Call{Command: "GC", Path: cniPath(t, n), Config: n.With(valid).JSON(t), Unset: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}})
}

func valid(list any) cni.Conf {
	return cni.Conf{"cni.dev/valid-attachments": list}
}

func listed(all ...*attachment) []cni.Conf {
	list := []cni.Conf{}
	for _, a := range all {
		list = append(list, cni.Conf{"containerID": a.id, "ifname": a.ifname})
	}
	return list
}

// collected requires that GC has removed attachments, so that no DEL follows.
func collected(t *testing.T, all ...*attachment) {
	t.Helper()
	for _, a := range all {
		if hasLink(t, a.h.Netns, hostEnd(t, a.result(t))) {
			t.Errorf("%s/%s still has its host link", a.id, a.ifname)
		}
		if _, found := files(t, a.h, "/run/patchbay/net")[a.id+"@"+a.ifname+".json"]; found {
			t.Errorf("%s/%s still has its record", a.id, a.ifname)
		}
		for name, text := range files(t, a.h, addressDir(a)) {
			if text == a.id+"\r\n"+a.ifname {
				t.Errorf("%s/%s still has address %s", a.id, a.ifname, name)
			}
		}
		a.state = ""
	}
}

// TestGCWithoutListDoesNothing: a configuration without the list does not say which attachments are valid.
//
// Claim: STATUS and GC report the state that exists
func TestGCWithoutListDoesNothing(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 2, everything())
	gc(t, h, everything(), nil).OK(t)
	for _, a := range all {
		a.check(t)
	}
}

// TestGCWithNullOrEmptyList: no attachment is valid, and all of the network are removed.
//
// Claim: STATUS and GC report the state that exists
func TestGCWithNullOrEmptyList(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]any{"null": nil, "empty": []cni.Conf{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			all, _ := containers(t, h, 3, everything())
			gc(t, h, everything(), valid(list)).OK(t)
			collected(t, all...)
			noLeaks(t, h)
		})
	}
}

// TestGCKeepsListedAttachments: by container ID and interface name.
//
// Claim: STATUS and GC report the state that exists
func TestGCKeepsListedAttachments(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	keep, _ := attach(t, h, c, everything())
	second := on(h, c, everything())
	second.ifname = "eth1"
	second.add(t)
	stale, _ := attach(t, h, h.Container("d"), everything())
	gc(t, h, everything(), valid(listed(keep))).OK(t)
	collected(t, second, stale)
	keep.check(t)
}

// TestGCKnowsTheOldKey: libcni up to 1.2.3 writes cni.dev/attachments.
//
// Claim: GC accepts every form of its list and both keys; an invalid list is an error and changes nothing; other mistakes in the
// configuration do not stop GC
func TestGCKnowsTheOldKey(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 2, everything())
	gc(t, h, everything(), cni.Conf{"cni.dev/attachments": listed(all[0])}).OK(t)
	collected(t, all[1])
	all[0].check(t)
}

// TestGCKeepsOtherNetworks: even those on the same bridge.
func TestGCKeepsOtherNetworks(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	other, _ := attach(t, h, h.Container("c"), cni.Network(cni.Conf{"name": "other"}, cni.Pool("10.7.0.0/24")))
	mine, _ := attach(t, h, h.Container("d"), cni.Network(cni.Pool("10.1.0.0/24")))
	gc(t, h, cni.Network(cni.Pool("10.1.0.0/24")), valid(nil)).OK(t)
	collected(t, mine)
	other.check(t)
}

// TestGCKeepsOtherOwners: GC removes attachments of runtimes only.
func TestGCKeepsOtherOwners(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 2, everything())
	path := recordPath(all[0])
	text := files(t, h, "/run/patchbay/net")[all[0].id+"@eth0.json"]
	expect.Contains(t, text, `"owner": "cni"`)
	writeFile(t, h, path, strings.Replace(text, `"owner": "cni"`, `"owner": "lxc"`, 1))
	gc(t, h, everything(), valid(nil)).OK(t)
	collected(t, all[1])
	all[0].check(t)
}

// TestGCKeepsNewerAttachments: the runtime made its list before the ADD.
//
// Claim: Shared objects stay, even where the first ADD fails; GC keeps what is newer than itself
func TestGCKeepsNewerAttachments(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 2, everything())
	editRecord(t, all[0], `"created": "2`, `"created": "9`)
	gc(t, h, everything(), valid(nil)).OK(t)
	collected(t, all[1])
	all[0].check(t)
}

// TestGCWithDeletedNamespaces: the usual case, attachments whose network namespace no longer exists.
func TestGCWithDeletedNamespaces(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, everything())
	b, _ := attach(t, h, d, everything())
	c.Delete()
	d.Delete()
	gc(t, h, everything(), valid(nil)).OK(t)
	linkGone(t, h.Netns, hostEnd(t, a.result(t)))
	linkGone(t, h.Netns, hostEnd(t, b.result(t)))
	collected(t, a, b)
	noLeaks(t, h)
}

// TestGCWithTornRecord: GC removes the torn record, because nothing else would.
func TestGCWithTornRecord(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), everything())
	writeFile(t, h, recordPath(a), `{"vers`)
	gc(t, h, everything(), valid(nil)).OK(t)
	collected(t, a)
}

func TestGCOfUnusedNetworkLeavesNoTrace(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Oracle(nettest.CleanHost)
	gc(t, h, everything(), valid(nil)).OK(t)
	noLeaks(t, h)
}

// TestGCAsIPAM: GC releases the addresses of containers of other main plugins.
func TestGCAsIPAM(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := cni.Network(cni.Conf{"type": "macvlan", "master": "eth0"}, cni.Pool("10.1.0.0/24"))
	keep, _ := attach(t, h, h.Container("c"), n)
	stale, _ := attach(t, h, h.Container("d"), n)
	gc(t, h, n, valid(listed(keep))).OK(t)
	expect.Equal(t, "address kept", files(t, h, addressDir(keep))["10.1.0.2"], keep.id+"\r\neth0")
	expect.Equal(t, "address freed", files(t, h, addressDir(keep))["10.1.0.3"], "")
	stale.state = ""
	keep.check(t)
}

// TestGCRemovesEmptyRecords: a verb was killed after it had locked the record and before it wrote to it.
//
// Claim: Verbs of one attachment run one at a time; GC and address reclaim skip attachments that are locked
func TestGCRemovesEmptyRecords(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	keep, _ := attach(t, h, h.Container("c"), everything())
	for _, name := range []string{"killed@eth0.json", "killed@eth0.json.tmp"} {
		writeFile(t, h, "/run/patchbay/net/"+name, "")
	}
	held := on(h, h.Container("d"), everything())
	writeFile(t, h, recordPath(held), "")
	lock := hold(t, h, recordPath(held))
	gc(t, h, everything(), valid(listed(keep))).OK(t)
	lock.Close()
	names := []string{}
	for name := range files(t, h, "/run/patchbay/net") {
		names = append(names, name)
	}
	slices.Sort(names)
	expect.Equal(t, "records", names, []string{keep.id + "@eth0.json", held.id + "@eth0.json"})
	held.del(t)
}

// TestGCReportsUnreadableRecords: it removes them and reports them on stderr.
//
// Claim: An unreadable record is reported and worked around; it never makes a DEL fail
func TestGCReportsUnreadableRecords(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), everything())
	writeFile(t, h, recordPath(a), `{"version": 1, "network": "x", "containerID": "y", "ifname": "z"}`)
	answer := gc(t, h, everything(), valid(nil)).OK(t)
	expect.Contains(t, string(answer.Stderr), "patchbay: record "+recordPath(a)+": unreadable record: it belongs to x/y/z; removing what is found without it")
	collected(t, a)
}
