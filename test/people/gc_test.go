package people

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestCollect takes away what is dead, of every owner, and never what lives: neither the attached,
// nor who has lost the cable but not the namespace, nor who cannot be read.
func TestCollect(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.network(t, "net", "cni0", map[string]string{"subnet": "10.1.0.0/24"})
	l.network(t, "other", "cni1", map[string]string{"subnet": "10.2.0.0/24"})
	expect.Equal(t, "gc of nothing", l.ok(t, "gc"), "nothing is dead\n")
	const conf = `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}]]}}`
	pod := l.Container("pod")
	call := nettest.Call{Command: "ADD", ContainerID: pod.ID(), Netns: pod.Path(), IfName: "eth0", Config: []byte(conf)}
	l.CNI(t, call).OK(t)
	for _, name := range []string{"alive", "cut", "dead", "torn"} {
		l.ok(t, "up", name, "--network", "net")
	}
	l.ok(t, "up", "far", "--network", "other")
	pod.Delete()
	for _, a := range l.list(t) {
		switch a.Name {
		case "cut":
			l.Run(t, "ip", "link", "del", a.HostLink)
		case "dead", "far", "torn":
			l.Run(t, "ip", "netns", "del", a.Name)
		}
	}
	l.Run(t, "sh", "-c", "echo nonsense >/run/patchbay/net/torn@eth0.json")
	l.until(t, func() bool {
		states := l.states(t)
		return states["dead"] == "no cable" && states["far"] == "no cable" && states[pod.ID()] == "no cable"
	})
	before := l.ok(t, "ls")
	dry := l.ok(t, "gc", "--dry-run")
	expect.Equal(t, "ls after a dry run", l.ok(t, "ls"), before)
	expect.Contains(t, dry, "would remove net/dead/eth0 with 10.1.0.5, whose namespace /run/netns/dead is gone\n", "would remove net/"+pod.ID()+"/eth0", "would remove other/far/eth0", "left: /run/patchbay/net/torn@eth0.json: unreadable record")
	one := l.ok(t, "gc", "--network", "other")
	expect.Equal(t, "gc of one network", one, "removed other/far/eth0 with 10.2.0.2, whose namespace /run/netns/far is gone\n")
	done := l.ok(t, "gc")
	expect.Equal(t, "lines", strings.Count(done, "removed net/"), 2)
	expect.Equal(t, "states", l.states(t), map[string]string{"alive": "up", "cut": "no cable", "torn": "unreadable"})
	expect.Contains(t, l.ok(t, "gc"), "left: /run/patchbay/net/torn@eth0.json")
	expect.Contains(t, l.run(t, "detach", "torn").stdout, "torn: eth0 is off network net")
	expect.Equal(t, "gc again", l.ok(t, "gc"), "nothing is dead\n")
	expect.Contains(t, l.ok(t, "up", "next", "--network", "net", "--ip", "10.1.0.5"), "10.1.0.5/24")
	for _, name := range []string{"alive", "cut", "next"} {
		l.ok(t, "down", name)
	}
}
