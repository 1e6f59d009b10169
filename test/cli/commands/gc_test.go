package commands

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestGC: gc removes stale attachments of every owner. It keeps live ones, those without a veth pair whose
// namespace exists, and those with an unreadable record.
//
// Claim: `patchbay gc` removes stale attachments of every owner, and never one that is live or cannot be read
func TestGC(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.network(t, "net", "cni0", map[string]string{"subnet": "10.1.0.0/24"})
	l.network(t, "other", "cni1", map[string]string{"subnet": "10.2.0.0/24"})
	expect.Equal(t, "gc of nothing", l.ok(t, "gc"), "nothing to clean up\n")
	const conf = `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}]]}}`
	pod := l.Container("pod")
	call := nettest.Call{Command: "ADD", ContainerID: pod.ID(), Netns: pod.Path(), IfName: "eth0", Config: []byte(conf)}
	l.CNI(t, call).OK(t)
	for _, name := range []string{"live", "cut", "stale", "torn"} {
		l.ok(t, "up", name, "--network", "net")
	}
	l.ok(t, "up", "far", "--network", "other")
	pod.Delete()
	for _, a := range l.list(t) {
		switch a.Name {
		case "cut":
			l.Run(t, "ip", "link", "del", a.HostLink)
		case "stale", "far", "torn":
			l.Run(t, "ip", "netns", "del", a.Name)
		}
	}
	l.Run(t, "sh", "-c", "echo nonsense >/run/patchbay/net/torn@eth0.json")
	l.until(t, func() bool {
		states := l.states(t)
		return states["stale"] == "stale" && states["far"] == "stale" && states[pod.ID()] == "stale"
	})
	before := l.ok(t, "ls")
	dry := l.ok(t, "gc", "--dry-run")
	expect.Equal(t, "ls after a dry run", l.ok(t, "ls"), before)
	expect.Contains(t, dry, "would remove net/stale/eth0 with 10.1.0.5, whose namespace /run/netns/stale is gone\n", "would remove net/"+pod.ID()+"/eth0", "would remove other/far/eth0", "left: /run/patchbay/net/torn@eth0.json: unreadable record")
	one := l.ok(t, "gc", "--network", "other")
	expect.Equal(t, "gc of one network", one, "removed other/far/eth0 with 10.2.0.2, whose namespace /run/netns/far is gone\n"+
		"deleted /etc/netns/cut/hosts\ndeleted /etc/netns/far/hosts\ndeleted /etc/netns/stale/hosts\ndeleted /etc/netns/torn/hosts\n")
	done := l.ok(t, "gc")
	expect.Equal(t, "lines", strings.Count(done, "removed net/"), 2)
	expect.Equal(t, "states", l.states(t), map[string]string{"live": "up", "cut": "stale", "torn": "unreadable"})
	expect.Contains(t, l.ok(t, "gc"), "left: /run/patchbay/net/torn@eth0.json")
	expect.Contains(t, l.run(t, "detach", "torn").stdout, "torn: eth0 detached from network net")
	expect.Equal(t, "gc again", l.ok(t, "gc"), "nothing to clean up\n")
	expect.Contains(t, l.ok(t, "up", "next", "--network", "net", "--ip", "10.1.0.5"), "10.1.0.5/24")
	for _, name := range []string{"live", "cut", "next"} {
		l.ok(t, "down", name)
	}
}
