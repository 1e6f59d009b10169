package verbs

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// misbehaviour is a sequence of calls that the specification does not expect. After each of them a DEL leaves nothing,
// which the oracle checks, and the next ADD succeeds.
type misbehaviour struct {
	name string
	do   func(t *testing.T, h *nettest.Node, c *nettest.Container, a *attachment)
}

func misbehaviours() []misbehaviour {
	return slices.Concat(repeatedCalls(), killedCalls(), laterCalls())
}

// repeatedCalls returns cases of early, repeated and concurrent DELs.
func repeatedCalls() []misbehaviour {
	return []misbehaviour{
		{"DEL before ADD", func(t *testing.T, h *nettest.Node, _ *nettest.Container, a *attachment) {
			h.Oracle(nettest.CleanHost)
			a.del(t)
			noLeaks(t, h)
			h.Oracle(nettest.Attachment)
		}},
		{"nerdctl's DEL before ADD", func(t *testing.T, _ *nettest.Node, c *nettest.Container, a *attachment) {
			a.netns = ""
			a.del(t)
			a.netns = c.Path()
			a.add(t)
			a.check(t)
			a.netns = ""
			a.del(t)
			a.netns = c.Path()
		}},
		{"DEL twice", func(t *testing.T, _ *nettest.Node, _ *nettest.Container, a *attachment) {
			a.add(t)
			a.del(t)
			a.del(t)
		}},
		{"two DELs at once", func(t *testing.T, h *nettest.Node, _ *nettest.Container, a *attachment) {
			a.add(t)
			one, two := h.StartCNI(t, a.call(t, "DEL")), h.StartCNI(t, a.call(t, "DEL"))
			one.Wait(t).OK(t)
			two.Wait(t).OK(t)
			a.state = ""
		}},
	}
}

// killedCalls returns cases of ADDs that are killed, and of DELs with another namespace or version.
func killedCalls() []misbehaviour {
	return []misbehaviour{
		{"ADD killed, then DEL", func(t *testing.T, h *nettest.Node, c *nettest.Container, a *attachment) {
			was := a.conf
			a.conf = slow()
			running := midway(t, a, c)
			if err := running.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			expect.Equal(t, "exit", running.Wait(t).Exit, -1)
			a.conf = was
			a.del(t)
			noLeaks(t, h)
		}},
		{"ADD killed, then ADD", func(t *testing.T, _ *nettest.Node, c *nettest.Container, a *attachment) {
			was := a.conf
			a.conf = slow()
			running := midway(t, a, c)
			if err := running.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			expect.Equal(t, "exit", running.Wait(t).Exit, -1)
			a.conf = was
			a.fails(t, "ADD", codeAttached) // its veth pair exists: only DEL removes it
			a.del(t)
		}},
		{"DEL with another namespace's path", func(t *testing.T, h *nettest.Node, c *nettest.Container, a *attachment) {
			d := h.Container("d")
			other, _ := attach(t, h, d, everything())
			a.add(t)
			a.netns = d.Path()
			a.del(t)
			a.netns = c.Path()
			other.check(t)
			other.del(t)
		}},
		{"DEL with the host's own namespace", func(t *testing.T, _ *nettest.Node, c *nettest.Container, a *attachment) {
			a.add(t)
			a.netns = "/proc/self/ns/net"
			a.del(t)
			a.netns = c.Path()
		}},
		{"DEL with older versions", func(t *testing.T, h *nettest.Node, _ *nettest.Container, a *attachment) {
			for _, version := range []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"} {
				a.add(t)
				was := a.conf
				a.conf = was.With(cni.Conf{"cniVersion": version})
				a.del(t)
				a.conf = was
				noLeaks(t, h)
			}
		}},
	}
}

// laterCalls returns cases of concurrent CHECKs, and of ADDs after a restart or a reboot.
func laterCalls() []misbehaviour {
	return []misbehaviour{
		{"CHECKs of other processes at once", func(t *testing.T, h *nettest.Node, _ *nettest.Container, a *attachment) {
			a.add(t)
			var running []*nettest.Running
			for range 8 {
				running = append(running, h.StartCNI(t, a.call(t, "CHECK")))
			}
			for _, r := range running {
				r.Wait(t).OK(t)
			}
			a.del(t)
		}},
		{"ADD with the same ID after a restart of the container", func(t *testing.T, h *nettest.Node, c *nettest.Container, a *attachment) {
			first := addresses(a.add(t))
			a.loseContainer(t, c)
			next := h.Container("again")
			a.netns = next.Path()
			expect.Equal(t, "addresses", addresses(a.add(t)), first)
			a.check(t)
			a.del(t)
		}},
		{"ADD with the same ID after a reboot", func(t *testing.T, h *nettest.Node, _ *nettest.Container, a *attachment) {
			first := addresses(a.add(t))
			h.Reboot()
			a.netns = h.Container("again").Path()
			expect.Equal(t, "addresses", addresses(a.add(t)), first) // the sticky reservation
			a.check(t)
			a.del(t)
		}},
		{"torn cache of a runtime", func(t *testing.T, h *nettest.Node, _ *nettest.Container, a *attachment) {
			for prev, code := range map[string]uint{`"{\"cniVersion\": \"1.1"`: 6, `{}`: codeDrift, `{"cniVersion": "1.1.0", "ips": [null]}`: 6, `[]`: 6, `{"cniVersion": "9.9.9"}`: 6} {
				a.add(t)
				good := a.prev
				a.prev = []byte(prev)
				if e := a.run(t, "CHECK").Error(t); e.Code != code {
					t.Errorf("CHECK with prevResult %s: %v, want code %d", prev, e, code)
				}
				a.del(t)
				noLeaks(t, h)
				a.prev = good
			}
		}},
	}
}

// TestRuntimeMisbehaviour runs each case on a host of its own, followed by ADD, CHECK and DEL; nothing is left.
//
// Claim: Whatever a runtime does, and whatever the configuration has become, DEL leaves nothing behind and CHECK reports what differs
func TestRuntimeMisbehaviour(t *testing.T) {
	t.Parallel()
	for _, m := range misbehaviours() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a := on(h, c, everything())
			m.do(t, h, c, a)
			expect.Equal(t, "records", len(files(t, h, "/run/patchbay/net")), 0)
			a.add(t)
			a.check(t)
			a.del(t)
			noLeaks(t, h)
			expect.Equal(t, "records afterwards", len(files(t, h, "/run/patchbay/net")), 0)
		})
	}
}

// reconfiguration is a change of the configuration between ADD and later verbs. CHECK returns exactly this message, in
// which HOST stands for the name of the host interface. With no message CHECK succeeds: settings beyond the
// configuration are allowed.
type reconfiguration struct {
	name    string
	was, is cni.Conf
	code    uint // of CHECK; 0 when it passes
	msg     string
	details string
	again   uint // code of an ADD
}

// gatewayNetwork returns a network with the keys that the cases change.
func gatewayNetwork(keys ...cni.Conf) cni.Conf {
	return cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24")).With(keys...)
}

func rangeWith(keys cni.Conf) cni.Conf {
	return cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{cni.Conf{"subnet": "10.1.0.0/24"}.With(keys)}}})
}

func reconfigurations() []reconfiguration {
	const one = "attachment, host and configuration no longer agree: call DEL and ADD again"
	const help = "a range needs a subnet without host bits, and addresses within it; the ranges of a set have one family, no two ranges overlap, and exclude leaves some addresses of each set"
	return []reconfiguration{
		{"subnet", gatewayNetwork(), gatewayNetwork(cni.Pool("10.2.0.0/24")), codeDrift, "address 10.1.0.2/24 is outside the ranges of the configuration", one, codeAttached},
		{"range", gatewayNetwork(), gatewayNetwork(rangeWith(cni.Conf{"rangeStart": "10.1.0.9"})), codeDrift, "address 10.1.0.2/24 is outside the ranges of the configuration", one, codeAttached},
		{"bridge", gatewayNetwork(), gatewayNetwork(cni.Conf{"bridge": "cni7"}), codeDrift, "interface cni7: no such interface", one, codeAttached},
		{"dataDir", gatewayNetwork(), gatewayNetwork(cni.IPAM(cni.Conf{"subnet": "10.1.0.0/24", "dataDir": "/var/lib/cni/networks"})), codeDrift, "the addresses are reserved in /run/patchbay/ipam, the configuration reserves in /var/lib/cni/networks", one, codeAttached},
		{"mtu", gatewayNetwork(), gatewayNetwork(cni.Conf{"mtu": 1400}), codeDrift, "host link HOST has MTU 1500, not 1400", one, codeAttached},
		{"gateway", gatewayNetwork(), gatewayNetwork(rangeWith(cni.Conf{"gateway": "10.1.0.254"})), codeDrift, "the gateway of 10.1.0.2/24 is 10.1.0.1, the configuration has 10.1.0.254", one, codeAttached},
		{"ranges invalid", gatewayNetwork(), gatewayNetwork(cni.Pool("10.1.0.0/33")), 7, `ipam.ranges: subnet: "10.1.0.0/33" is not a CIDR`, "give a subnet like 10.1.2.0/24 or 2001:db8::/64", 7},
		{"rangeEnd before rangeStart", gatewayNetwork(), gatewayNetwork(rangeWith(cni.Conf{"rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.3"})), 7, "ipam.ranges: invalid address range: rangeEnd 10.1.0.3 comes before rangeStart 10.1.0.9", help, 7},
		{"ranges removed", gatewayNetwork(), gatewayNetwork(cni.IPAM()), 7, "ipam.ranges: no IP ranges specified", `give at least one range: "ranges": [[{"subnet": "10.1.2.0/24"}]]`, 7},
		{"ipam removed", gatewayNetwork(), gatewayNetwork(cni.Conf{"ipam": cni.Absent}), codeDrift, "the attachment has addresses, the configuration no longer has ipam", one, codeAttached},
		{"ipam added", cni.Network(), cni.Network(cni.Pool("10.1.0.0/24")), codeDrift, "the attachment has no addresses, the configuration now has ipam", one, codeAttached},
		{"isGateway added", cni.Network(cni.Pool("10.1.0.0/24")), cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")), codeDrift, "bridge cni0 has lost the gateway address 10.1.0.1/24", "also: the host no longer forwards IPv4 (net.ipv4.ip_forward); attachment, host and configuration no longer agree: call DEL and ADD again", codeAttached},
		{"isGateway removed", gatewayNetwork(), cni.Network(cni.Pool("10.1.0.0/24")), 0, "", "", codeAttached},
		{"hairpinMode", gatewayNetwork(), gatewayNetwork(cni.Conf{"hairpinMode": true}), codeDrift, "hairpin mode of HOST is false, hairpinMode is true", one, codeAttached},
		{"promiscMode", gatewayNetwork(), gatewayNetwork(cni.Conf{"promiscMode": true}), codeDrift, "bridge cni0 is not promiscuous", one, codeAttached},
		{"a route added", gatewayNetwork(), gatewayNetwork(cni.IPAM(cni.Conf{"subnet": "10.1.0.0/24", "routes": []cni.Conf{{"dst": "198.51.100.0/24"}}})), codeDrift, "the attachment was made without the route 198.51.100.0/24 via 10.1.0.1, which the configuration now has", one, codeAttached},
		{"a key of the wrong type", gatewayNetwork(), gatewayNetwork(cni.Conf{"mtu": "big"}), 7, `mtu: want a whole number, got "big"`, "give a whole number, or leave the key out", 7},
		{"unknown cniVersion", gatewayNetwork(), gatewayNetwork(cni.Conf{"cniVersion": "9.9.9"}), 1, "incompatible CNI versions", `config is "9.9.9", plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]`, 1},
	}
}

// TestConfigChangedAfterAdd: CHECK reports the difference, ADD fails, and DEL removes everything.
//
// Claim: Whatever a runtime does, and whatever the configuration has become, DEL leaves nothing behind and CHECK reports what differs
func TestConfigChangedAfterAdd(t *testing.T) {
	t.Parallel()
	for _, r := range reconfigurations() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a, result := attach(t, h, c, r.was)
			host := hostEnd(t, result)
			a.conf = r.is
			if r.code == 0 {
				a.check(t)
			} else {
				e := a.fails(t, "CHECK", r.code)
				words := strings.NewReplacer("HOST", host)
				expect.Equal(t, "CHECK", []string{e.Msg, e.Details}, []string{words.Replace(r.msg), words.Replace(r.details)})
			}
			a.fails(t, "ADD", r.again)
			a.del(t)
			gone(t, a, c, host)
		})
	}
}
