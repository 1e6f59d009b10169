package bandwidth

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// reference calls a reference plugin.
func reference(t testing.TB, h *nettest.Node, verb, plugin string, c *nettest.Container, conf cni.Conf) nettest.Answer {
	t.Helper()
	call := cni.Call(t, verb, c, conf.With(cni.Conf{"type": plugin}))
	call.Plugin = nettest.Program(t, plugin)
	call.Path = filepath.Dir(call.Plugin)
	return h.CNI(t, call)
}

// attachByReference attaches a container by the reference plugins bridge and bandwidth, and returns the answer of the second.
func attachByReference(t testing.TB, h *nettest.Node, c *nettest.Container, keys cni.Conf) nettest.Answer {
	t.Helper()
	bridge := network(cni.Conf{"cniVersion": "1.0.0"}, cni.IPAM(cni.Conf{"type": "host-local", "ranges": cni.Ranges("10.1.0.0/24")}))
	result := reference(t, h, "ADD", "bridge", c, bridge).OK(t)
	return reference(t, h, "ADD", "bandwidth", c, bridge.With(keys, cni.Prev(json.RawMessage(result.Stdout))))
}

// TestReferenceLeft: the node has moved to Patchbay, which gets the DEL of a container that the reference plugins attached.
//
// Claim: DEL removes the ifb device of the reference plugin bandwidth, and no interface of that name that another program made
func TestReferenceLeft(t *testing.T) {
	h := nettest.Host(t)
	c, other := h.Container("web"), h.Container("other")
	limit := cni.Conf{"ingressRate": 10000000, "ingressBurst": 1000000, "egressRate": 10000000, "egressBurst": 1000000}
	attachByReference(t, h, c, limit).OK(t)
	devices := func() string { return h.Run(t, "sh", "-c", "ip -br link show | grep -o '^bwp[0-9a-f]*' || true") }
	made := devices()
	if made == "" {
		t.Fatal("the reference plugin made no ifb device")
	}
	cni.Del(t, h, other, network())
	expect.Equal(t, "ifb devices after the DEL of another container", devices(), made)
	cni.Del(t, h, c, network())
	expect.Equal(t, "ifb devices after DEL", devices(), "")

	// A container that Patchbay attached while the reference plugin limited its traffic; the list has changed since.
	cni.Add(t, h, c, network())
	h.Run(t, "ip", "link", "add", strings.TrimSpace(made), "type", "ifb")
	cni.Del(t, h, c, network(limits(1e6, 1e6)))
	expect.Equal(t, "ifb devices after the list has changed", devices(), "")

	h.Run(t, "ip", "link", "add", "link", "cni0", "name", strings.TrimSpace(made), "type", "macvlan")
	cni.Del(t, h, c, network())
	expect.Equal(t, "an interface of another program", devices(), made)
	h.Run(t, "ip", "link", "del", strings.TrimSpace(made))
}
