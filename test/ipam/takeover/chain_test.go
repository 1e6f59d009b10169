package takeover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/patchbay-cni/patchbay/pkg/names"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/conflist"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// chain is a node on which one list, with bandwidth, tuning and sbr, is served by the reference plugins or by Patchbay under their names.
type chain struct {
	*nettest.Node
	reference, ours *conflist.Runtime
	list            *libcni.NetworkConfigList
}

func newChain(t *testing.T) *chain {
	t.Helper()
	nettest.Need(t, nettest.Tool("tc"))
	h := nettest.Host(t)
	dirs := map[bool]string{true: t.TempDir(), false: t.TempDir()}
	for _, name := range []string{names.Bridge, names.HostLocal, names.Tuning, names.Bandwidth, names.SourceRoute} {
		for mine, program := range map[bool]string{true: nettest.Patchbay(t), false: nettest.Program(t, name)} {
			if err := os.Symlink(program, filepath.Join(dirs[mine], name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return &chain{h, conflist.In(h, dirs[false]), conflist.In(h, dirs[true]), conflist.List(
		t, "net",
		cni.Conf{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": cni.Conf{"type": "host-local", "ranges": cni.Ranges("10.1.0.0/24")}},
		cni.Conf{"type": "tuning", "mtu": 1400, "promisc": true, "sysctl": cni.Conf{"net.ipv4.conf.IFNAME.arp_filter": "1"}},
		cni.Conf{"type": "bandwidth", "ingressRate": 80e6, "ingressBurst": 8e6, "egressRate": 40e6, "egressBurst": 8e6},
		cni.Conf{"type": "sbr"},
	)}
}

// add attaches a new container.
func (c *chain) add(t *testing.T, r *conflist.Runtime, name string) *nettest.Container {
	t.Helper()
	one := c.Container(name)
	r.Add(t, c.list, one)
	return one
}

// limited returns the number of limits of each rate on the host.
func (c *chain) limited(t *testing.T) (ingress, egress int) {
	t.Helper()
	out := c.Run(t, "tc", "qdisc", "show")
	return strings.Count(out, " rate 80Mbit "), strings.Count(out, " rate 40Mbit ")
}

// TestChainTakenOver: the programs are replaced while containers of the reference run, whose DEL ours gets; and replaced again while
// containers of ours run, whose DEL the reference gets, after which `patchbay gc` removes what the reference does not know.
//
// Claim: Containers of the reference with tuning, bandwidth and sbr are taken over by the same names of Patchbay, and back: limits of the
// others stay, and nothing is left behind
func TestChainTakenOver(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	first := c.add(t, c.reference, "first") // whatever the reference leaves after the last container is there already
	c.reference.Del(t, c.list, first)
	first.Delete()
	c.Run(t, "sh", "-c", "rm -f /var/lib/cni/networks/net/last_reserved_ip.*")
	c.Baseline()
	a1, a2 := c.add(t, c.reference, "a1"), c.add(t, c.reference, "a2")
	b1, b2 := c.add(t, c.ours, "b1"), c.add(t, c.ours, "b2")
	c.has(t, 4)
	c.ours.Del(t, c.list, a1)
	c.has(t, 3)
	if err := c.ours.Check(c.list, b1); err != nil {
		t.Errorf("CHECK after the DEL of another: %v", err)
	}
	back := c.add(t, c.reference, "back")
	c.reference.Del(t, c.list, b1)
	c.Run(t, nettest.Patchbay(t), "gc")
	c.has(t, 3)
	c.reference.Del(t, c.list, a2)
	c.ours.Del(t, c.list, b2)
	c.reference.Del(t, c.list, back)
	c.has(t, 0)
	c.NoLeaks(t)
}

// has requires this number of limits in each direction.
func (c *chain) has(t *testing.T, want int) {
	t.Helper()
	ingress, egress := c.limited(t)
	expect.Equal(t, "limits of what containers receive and send", [2]int{ingress, egress}, [2]int{want, want})
}
