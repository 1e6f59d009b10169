package verbs

import (
	"fmt"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestDelWithBadConfig: it takes what it can read, down to nothing but the name.
func TestDelWithBadConfig(t *testing.T) {
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
		"invalid value":            good.with(conf{"mtu": "big"}).bytes(t),
		"invalid range":            good.with(pool("10.1.0.0/33")).bytes(t),
		"ranges removed":           good.with(ipam()).bytes(t),
		"other ranges":             good.with(pool("192.0.2.0/24")).bytes(t),
		"ipam removed":             good.with(conf{"ipam": nil}).bytes(t),
		"ipam of another type":     good.with(conf{"ipam": conf{"type": "dhcp"}}).bytes(t),
		"ipam not an object":       good.with(conf{"ipam": 7}).bytes(t),
		"unsupported version":      good.with(conf{"cniVersion": "9.9.9"}).bytes(t),
		"version not a text":       good.with(conf{"cniVersion": 1}).bytes(t),
		"another bridge":           good.with(conf{"bridge": "cni7"}).bytes(t),
		"bad bridge":               good.with(conf{"bridge": "a/b"}).bytes(t),
		"bad prevResult":           good.with(conf{"prevResult": "x"}).bytes(t),
		"unsupported key":          good.with(conf{"vlan": 5}).bytes(t),
		"relative stateDir":        good.with(conf{"stateDir": "x"}).bytes(t),
		"name alone":               []byte(`{"name": "net"}`),
		"name missing":             good.with(conf{"name": nil}).bytes(t),
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

// TestDelWithBadArgs: CNI_ARGS says nothing that DEL needs.
func TestDelWithBadArgs(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	a.args = "IP=nonsense;FOO"
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

// TestDelWithoutRecord: derived names and a look at all address files find everything.
func TestDelWithoutRecord(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	removeAll(t, h, recordPath(a))
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

func TestDelWithTornRecord(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty": "", "cut": `{"version": 1, "network": "n`, "newer": `{"version": 999, "future": true}`, "another's": `{"version": 1, "network": "x", "containerID": "y", "ifname": "z"}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a, r := attach(t, h, c, everything())
			writeFile(t, h, recordPath(a), text)
			a.del(t)
			gone(t, a, c, hostEnd(t, r))
		})
	}
}

// TestDelWithoutStateDirectory: the cable goes all the same.
func TestDelWithoutStateDirectory(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	removeAll(t, h, "/run/patchbay")
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

// TestDelTellsOfUnreadableRecord on stderr, and nothing of it on stdout.
func TestDelTellsOfUnreadableRecord(t *testing.T) {
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

// TestDelWithSomethingElseForRecord: what cannot even be opened is no reason to fail.
func TestDelWithSomethingElseForRecord(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]string{"directory": "mkdir", "link": "ln -s /etc/passwd", "link that leads nowhere": "ln -s nowhere"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a, r := attach(t, h, c, everything())
			h.Run(t, "sh", "-c", "rm "+recordPath(a)+" && "+replace+" "+recordPath(a))
			a.del(t)
			gone(t, a, c, hostEnd(t, r))
			expect.Equal(t, "in the record's place", h.Run(t, "ls", "-A", "/run/patchbay/net"), "")
		})
	}
}

// TestDelRemovesRoutesWithoutRecord: the configuration knows the bridge, or it is the default one; the address files know the rest.
func TestDelRemovesRoutesWithoutRecord(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ bridge, stdin string }{
		"whole configuration": {"br7", ""}, "cut off": {"br7", `{"name": "net", "bridge": "br7", "ipam": {`}, "default bridge": {"cni0", `{"name": "net"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a, r := attach(t, h, c, network(defaultGateway(), singles(), conf{"bridge": test.bridge}))
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

// TestDelLeavesRouteOfWhoHasTheAddressNow: the file of one that was attached is gone, and another got its address.
func TestDelLeavesRouteOfWhoHasTheAddressNow(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, network(defaultGateway(), singles()))
	removeAll(t, h, addressDir(a)+"/10.9.0.5", addressDir(a)+"/fd00:9::5")
	a.die(t, c)
	d := h.Container("d")
	b, _ := attach(t, h, d, network(defaultGateway(), singles()))
	a.netns = ""
	a.del(t)
	b.check(t)
	ping(t, d.Netns, "10.9.0.1")
}
