package tap

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// damages are changes of the tap by another program, each with what CHECK says.
func damages() map[string]struct {
	commands []string // for the namespace, separated by spaces
	says     string
	drawn    bool // show and inspect say it too, without reading filters and owners
} {
	type damage = struct {
		commands []string
		says     string
		drawn    bool
	}
	return map[string]damage{
		"deleted":      {[]string{"ip link del tap0"}, "tap tap0 no longer exists", true},
		"down":         {[]string{"ip link set tap0 down"}, "tap tap0 is down", true},
		"replaced":     {[]string{"ip link del tap0", "ip tuntap add tap0 mode tap user 12345"}, "tap0 in the container is not the tap of this attachment", true},
		"MTU":          {[]string{"ip link set tap0 mtu 1400"}, "tap tap0 has MTU 1400, eth0 has 1500", false},
		"not joined":   {[]string{"tc filter del dev eth0 ingress"}, "frames that arrive at eth0 are not redirected to tap0", false},
		"no way back":  {[]string{"tc qdisc del dev tap0 clsact"}, "frames that arrive at tap0 are not redirected to eth0", false},
		"other device": {[]string{"tc filter del dev eth0 ingress", "tc filter add dev eth0 ingress protocol all pref 20548 u32 match u32 0 0 action mirred egress redirect dev lo"}, "frames that arrive at eth0 are not redirected to tap0", false},
	}
}

// TestDrift: each change of the tap is found.
//
// Claim: CHECK and doctor report a tap that another program has deleted, replaced, set down, or no longer joins with the container
// interface; show and inspect a tap that is missing or down; DEL removes the attachment all the same
func TestDrift(t *testing.T) {
	t.Parallel()
	for name, d := range damages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			c := h.Container("vm")
			conf := cni.Network(cni.Pool("10.96.0.0/24"), cni.Conf{"tap": cni.Conf{"owner": owner}})
			result := cni.Add(t, h.Node, c, conf).OK(t).Stdout
			conf = conf.With(cni.Prev(result))
			h.CNI(t, cni.Call(t, "CHECK", c, conf)).OK(t)
			expect.Contains(t, h.ok(t, "doctor"), "no problems found", "taps")
			for _, command := range d.commands {
				words := strings.Fields(command)
				c.Run(t, words[0], words[1:]...)
			}
			expect.Contains(t, h.CNI(t, cni.Call(t, "CHECK", c, conf)).Error(t).Msg, d.says)
			h.doctor(t, d.says)
			if text := h.ok(t, "inspect", c.ID()); strings.Contains(text, `"problems"`) != d.drawn {
				t.Errorf("inspect: %s", text)
			}
			cni.Del(t, h.Node, c, conf)
			if name == "replaced" {
				c.Run(t, "ip", "link", "del", "tap0") // of the program that replaced it
			}
		})
	}
}

// doctor requires a finding about the tap.
func (h *host) doctor(t testing.TB, seen string) {
	t.Helper()
	stdout, stderr, exit := h.run(t, "doctor")
	if exit != 1 || stderr != "" {
		t.Errorf("doctor: exit %d\n%s%s", exit, stdout, stderr)
	}
	expect.Contains(t, stdout, "the guest behind tap tap0 of ", seen, "attach again with --tap")
}

// TestVerbs: the key tap, as a runtime passes it.
//
// Claim: With the key `tap` the result of ADD has the tap, DEL without the record and GC remove it, and CHECK compares it with the configuration
func TestVerbs(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.Container("vm")
	conf := cni.Network(cni.DefaultGateway(), cni.Pool("10.96.0.0/24", "fd00:96::/64"), cni.Conf{"tap": cni.Conf{"name": "guest0", "owner": owner, "group": 7}})
	added := cni.Add(t, h.Node, c, conf)
	r := added.Result(t)
	if last := r.Interfaces[len(r.Interfaces)-1]; last.Name != "guest0" || last.Sandbox != c.Path() || len(r.IPs) != 2 || r.Interfaces[*r.IPs[0].Interface].Name != "eth0" {
		t.Errorf("result: %s", added.Stdout)
	}
	expect.Equal(t, "addresses in the namespace", c.Run(t, "ip", "-o", "address", "show", "dev", "eth0"), "")
	expect.Equal(t, "addresses of the tap", c.Run(t, "ip", "-o", "address", "show", "dev", "guest0"), "")
	expect.Equal(t, "routes in the namespace", c.Run(t, "ip", "route"), "")
	other := conf.With(cni.Prev(added.Stdout), cni.Conf{"tap": cni.Conf{"name": "guest0", "owner": owner}})
	expect.Contains(t, h.CNI(t, cni.Call(t, "CHECK", c, other)).Error(t).Msg, "the attachment was made with another tap than the configuration has")
	h.Run(t, "rm", "-r", "/run/patchbay/net")
	cni.Del(t, h.Node, c, conf)
	expect.Equal(t, "links after DEL without a record", linksOf(t, c), "lo")

	cni.Add(t, h.Node, c, conf).OK(t)
	gc := conf.With(cni.Conf{"cni.dev/valid-attachments": []cni.Conf{}})
	h.CNI(t, nettest.Call{Command: "GC", Config: gc.JSON(t), Unset: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}}).OK(t)
	expect.Equal(t, "links after GC", linksOf(t, c), "lo")

	a := h.attach(t, "vm", "--owner", "12345", "--tap-name", "late")
	h.Run(t, "ip", "link", "del", a.HostLink)
	c.Delete()
	h.ok(t, "gc")
	expect.Equal(t, "ls after gc", strings.Count(h.ok(t, "ls"), "\n"), 1)
}

// linksOf returns the names of the links of a namespace.
func linksOf(t testing.TB, c *nettest.Container) string {
	t.Helper()
	var names []string
	for line := range strings.Lines(c.Run(t, "ip", "-br", "link")) {
		names = append(names, strings.Fields(line)[0])
	}
	return strings.Join(names, " ")
}
