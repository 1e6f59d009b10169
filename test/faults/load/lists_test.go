package load

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// listed is the number of containers that are attached by a whole list at once.
const listed = 40

// TestStormOfLists: 40 concurrent calls of a list of six plugins, of which Patchbay does the five of the chain by their own names, behind its
// own bridge and behind the reference's. All succeed. DEL is called for half of the containers after their namespaces were deleted, and
// nothing is left behind.
//
// Claim: Of 40 concurrent lists with portmap, firewall, tuning, bandwidth and sbr by their own names all succeed, behind either bridge; DEL,
// also after the namespace, leaves nothing behind
func TestStormOfLists(t *testing.T) {
	pool := cni.Conf{"ranges": cni.Ranges("10.1.0.0/24", "fd00:1::/64"), "routes": []cni.Conf{{"dst": "0.0.0.0/0"}, {"dst": "::/0"}}}
	for name, main := range map[string]cni.Conf{
		"Patchbay's bridge": {"type": "patchbay", "ipam": pool.With(cni.Conf{"type": "patchbay"})},
		"the reference's":   {"type": "bridge", "ipam": pool.With(cni.Conf{"type": "host-local"})},
	} {
		t.Run(name, func(t *testing.T) {
			h := nettest.Host(t)
			c := newBatch(t, h, listed, network("net", "cni0", cni.Gateway(), main))
			plugins := append([]cni.Conf{c.config}, chain()...)
			for i, m := range c.members {
				m.more = publishing(8000+i, "")
			}
			c.lists(t, "ADD", plugins)
			c.checkPorts(t, func(i int) int { return 8000 + i })
			if got := strings.Count(h.Run(t, "ip", "-o", "link", "show", "type", "ifb"), "ifb"); got < listed {
				t.Errorf("%d ifb devices, want %d", got, listed)
			}
			c.lists(t, "CHECK", plugins[1:])
			for i, m := range c.members {
				if i%2 == 0 {
					m.Delete()
				}
			}
			slices.Reverse(plugins)
			c.lists(t, "DEL", plugins)
			h.NoLeaks(t)
		})
	}
}

// chain returns the plugins that follow the main plugin.
func chain() []cni.Conf {
	plugin := func(name string, keys cni.Conf) cni.Conf {
		return cni.Conf{"cniVersion": "1.0.0", "name": "net", "type": name}.With(keys)
	}
	return []cni.Conf{
		plugin("portmap", nil),
		plugin("firewall", cni.Conf{"ingressPolicy": "same-bridge"}),
		plugin("tuning", cni.Conf{"sysctl": cni.Conf{"net.ipv4.conf.IFNAME.arp_filter": "1"}, "promisc": true, "txQLen": 500}),
		plugin("bandwidth", cni.Conf{"ingressRate": 100e6, "egressRate": 100e6}),
		plugin("sbr", nil),
	}
}

// lists calls a verb of the plugins for every member: of one member in turn, of all members at once.
func (c *batch) lists(t *testing.T, verb string, plugins []cni.Conf) {
	t.Helper()
	var ended sync.WaitGroup
	for _, m := range c.members {
		ended.Go(func() {
			for _, plugin := range plugins {
				answer := c.h.StartCNI(t, c.callOf(t, m, verb, plugin)).Wait(t)
				if answer.Exit != 0 {
					t.Errorf("%s of %s for %s: %s", verb, plugin["type"], m.Name(), answer)
					return
				}
				if verb == "ADD" {
					m.prev = json.RawMessage(answer.Stdout)
				}
			}
		})
	}
	ended.Wait()
}

// callOf returns a call of one plugin of a list, with the result of the last ADD.
func (c *batch) callOf(t *testing.T, m *member, verb string, plugin cni.Conf) nettest.Call {
	conf := plugin.With(m.more)
	if m.prev != nil {
		conf = conf.With(cni.Prev(m.prev))
	}
	call := cni.Call(t, verb, m.Container, conf)
	if plugin["type"] == "bridge" {
		call.Plugin = nettest.Program(t, "bridge")
	}
	return call
}
