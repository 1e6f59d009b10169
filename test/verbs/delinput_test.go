package verbs

import (
	"fmt"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestDelWithInvalidConfig: DEL uses the parts of the configuration that it can parse, at worst none.
//
// Claim: DEL removes everything when repeated, without the namespace, with empty `CNI_NETNS`, and with a configuration that has become
// invalid
func TestDelWithInvalidConfig(t *testing.T) {
	t.Parallel()
	for name, stdin := range badConfigs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a, r := attach(t, h, c, everything())
			call := a.call(t, "DEL")
			call.Config = stdin
			h.CNI(t, call).OK(t)
			gone(t, a, c, hostEnd(t, r))
		})
	}
}

func badConfigs(t *testing.T) map[string][]byte {
	t.Helper()
	good := everything()
	out := map[string][]byte{
		"invalid value":            good.With(cni.Conf{"mtu": "big"}).JSON(t),
		"invalid range":            good.With(cni.Pool("10.1.0.0/33")).JSON(t),
		"ranges removed":           good.With(cni.IPAM()).JSON(t),
		"other ranges":             good.With(cni.Pool("192.0.2.0/24")).JSON(t),
		"ipam removed":             good.With(cni.Conf{"ipam": cni.Absent}).JSON(t),
		"ipam of another type":     good.With(cni.Conf{"ipam": cni.Conf{"type": "dhcp"}}).JSON(t),
		"ipam not an object":       good.With(cni.Conf{"ipam": 7}).JSON(t),
		"unsupported version":      good.With(cni.Conf{"cniVersion": "9.9.9"}).JSON(t),
		"version not a text":       good.With(cni.Conf{"cniVersion": 1}).JSON(t),
		"another bridge":           good.With(cni.Conf{"bridge": "cni7"}).JSON(t),
		"bad bridge":               good.With(cni.Conf{"bridge": "a/b"}).JSON(t),
		"bad prevResult":           good.With(cni.Conf{"prevResult": "x"}).JSON(t),
		"unsupported key":          good.With(cni.Conf{"vlan": 5}).JSON(t),
		"relative stateDir":        good.With(cni.Conf{"stateDir": "x"}).JSON(t),
		"name alone":               []byte(`{"name": "net"}`),
		"name missing":             good.With(cni.Conf{"name": cni.Absent}).JSON(t),
		"name of another case":     []byte(`{"Name": "net"}`),
		"nothing":                  nil,
		"null":                     []byte("null"),
		"not JSON":                 []byte("Patchbay"),
		"an object without an end": []byte(`{"name": "net", "ipam": {"type": "patchbay"`),
	}
	whole := []byte(`{"name": "net", "cniVersion": "1.1.0", "type": "patchbay", "bridge": "cni0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}]]}}`)
	for cut := 16; cut < len(whole); cut += 17 {
		out[fmt.Sprintf("cut after %d bytes", cut)] = whole[:cut]
	}
	return out
}

// TestDelReportsUnreadableRecord: the warning is on stderr; stdout stays empty.
//
// Claim: An unreadable record is reported and worked around; it never makes a DEL fail
func TestDelReportsUnreadableRecord(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), everything())
	writeFile(t, h, recordPath(a), `{"version": 999}`)
	answer := a.run(t, "DEL").OK(t)
	expect.Equal(t, "stdout", string(answer.Stdout), "")
	expect.Equal(t, "stderr", string(answer.Stderr), fmt.Sprintf("patchbay: record %s: unreadable record: written by a newer patchbay: "+
		"it has version 999, this one knows versions up to %d; removing what is found without it\n", recordPath(a), store.RecordVersion()))
	a.state = ""
}

// TestDelRemovesRoutesWithoutRecord: DEL takes the bridge from the configuration or the default, and the addresses
// from the address files.
//
// Claim: An unreadable record is reported and worked around; it never makes a DEL fail
func TestDelRemovesRoutesWithoutRecord(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ bridge, stdin string }{
		"whole configuration": {"br7", ""}, "cut off": {"br7", `{"name": "net", "bridge": "br7", "ipam": {`}, "default bridge": {"cni0", `{"name": "net"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a, r := attach(t, h, c, cni.Network(cni.DefaultGateway(), singles(), cni.Conf{"bridge": test.bridge}))
			expect.Equal(t, "route", ip(t, h.Netns, "route show 10.9.0.5"), "10.9.0.5 dev "+test.bridge+" scope link \n")
			removeAll(t, h, recordPath(a))
			call := a.call(t, "DEL")
			if test.stdin != "" {
				call.Config = []byte(test.stdin)
			}
			h.CNI(t, call).OK(t)
			expect.Equal(t, "routes", ip(t, h.Netns, "route show 10.9.0.5")+ip(t, h.Netns, "-6 route show fd00:9::5"), "")
			gone(t, a, c, hostEnd(t, r))
		})
	}
}

// TestDelKeepsRouteOfTheNextOwnerOfTheAddress: the address file of the attachment was deleted, and another one got its
// address.
func TestDelKeepsRouteOfTheNextOwnerOfTheAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, cni.Network(cni.DefaultGateway(), singles()))
	removeAll(t, h, addressDir(a)+"/10.9.0.5", addressDir(a)+"/fd00:9::5")
	a.loseContainer(t, c)
	d := h.Container("d")
	b, _ := attach(t, h, d, cni.Network(cni.DefaultGateway(), singles()))
	a.netns = ""
	a.del(t)
	b.check(t)
	ping(t, d.Netns, "10.9.0.1")
}
