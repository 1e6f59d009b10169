package verbs

import (
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// gc is the verb as a runtime calls it; valid is the key's value, with the key absent when it is the empty conf.
func gc(t *testing.T, h *nettest.Node, n, valid conf) nettest.Answer {
	t.Helper()
	return h.CNI(t, nettest.Call{Command: "GC", Config: n.with(valid).bytes(t), Unset: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}})
}

func valid(list any) conf {
	var raw rawJSON
	if list == nil {
		raw = "null"
		return conf{"cni.dev/valid-attachments": raw}
	}
	return conf{"cni.dev/valid-attachments": list}
}

// rawJSON is JSON as it stands: null, which conf would leave out.
type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

func listed(all ...*attachment) []conf {
	list := []conf{}
	for _, a := range all {
		list = append(list, conf{"containerID": a.id, "ifname": a.ifname})
	}
	return list
}

// collected wants attachments gone, without a DEL.
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

// TestGCWithoutListDoesNothing: the runtime said nothing about what is valid.
func TestGCWithoutListDoesNothing(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 2, everything())
	gc(t, h, everything(), nil).OK(t)
	for _, a := range all {
		a.check(t)
	}
}

// TestGCWithNullOrEmptyList takes all of the network: nothing is valid.
func TestGCWithNullOrEmptyList(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]any{"null": nil, "empty": []conf{}} {
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

// TestGCKeepsWhatIsListed, by container and by interface.
func TestGCKeepsWhatIsListed(t *testing.T) {
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
func TestGCKnowsTheOldKey(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 2, everything())
	gc(t, h, everything(), conf{"cni.dev/attachments": listed(all[0])}).OK(t)
	collected(t, all[1])
	all[0].check(t)
}

// TestGCLeavesOtherNetworksAlone, be it on the same bridge.
func TestGCLeavesOtherNetworksAlone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	other, _ := attach(t, h, h.Container("c"), network(conf{"name": "other"}, pool("10.7.0.0/24")))
	mine, _ := attach(t, h, h.Container("d"), network(pool("10.1.0.0/24")))
	gc(t, h, network(pool("10.1.0.0/24")), valid(nil)).OK(t)
	collected(t, mine)
	other.check(t)
}

// TestGCLeavesOtherOwnersAlone: what runtimes added is all it takes.
func TestGCLeavesOtherOwnersAlone(t *testing.T) {
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

// TestGCLeavesNewerAlone: the runtime made its list before the ADD.
func TestGCLeavesNewerAlone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 2, everything())
	editRecord(t, all[0], `"created": "2`, `"created": "9`)
	gc(t, h, everything(), valid(nil)).OK(t)
	collected(t, all[1])
	all[0].check(t)
}

// TestGCWithNamespacesGone is what it is for.
func TestGCWithNamespacesGone(t *testing.T) {
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

// TestGCWithTornRecord takes it too: nobody else could.
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

// TestGCAsIPAM frees the addresses of other main plugins' containers.
func TestGCAsIPAM(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := network(conf{"type": "macvlan", "master": "eth0"}, pool("10.1.0.0/24"))
	keep, _ := attach(t, h, h.Container("c"), n)
	stale, _ := attach(t, h, h.Container("d"), n)
	gc(t, h, n, valid(listed(keep))).OK(t)
	expect.Equal(t, "address kept", files(t, h, addressDir(keep))["10.1.0.2"], keep.id+"\r\neth0")
	expect.Equal(t, "address freed", files(t, h, addressDir(keep))["10.1.0.3"], "")
	stale.state = ""
	keep.check(t)
}

// TestGCTakesEmptyRecords: a verb was killed when it had locked one, and before it wrote anything.
func TestGCTakesEmptyRecords(t *testing.T) {
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

// TestGCTellsOfUnreadableRecords that it takes.
func TestGCTellsOfUnreadableRecords(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), everything())
	writeFile(t, h, recordPath(a), `{"version": 1, "network": "x", "containerID": "y", "ifname": "z"}`)
	answer := gc(t, h, everything(), valid(nil)).OK(t)
	expect.Contains(t, string(answer.Stderr), "patchbay: record "+recordPath(a)+": unreadable record: it is that of x/y/z; removing what is found without it")
	collected(t, a)
}
