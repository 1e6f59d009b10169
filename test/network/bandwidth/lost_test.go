package bandwidth

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestLost: CHECK finds each part of the limits that is deleted or changed, and reload restores it without a change of the container.
//
// Claim: CHECK reports limits that were deleted or changed, and `patchbay reload` restores them
func TestLost(t *testing.T) {
	for name, keys := range map[string][]cni.Conf{
		"all traffic": {limits(10e6, 20e6)},
		"subnets":     {limits(10e6, 20e6), {"shapedSubnets": []string{"10.0.0.0/8", "0.0.0.0/0", "fd00::/8"}}},
		"others":      {limits(10e6, 20e6), {"unshapedSubnets": []string{"10.9.0.0/16"}}},
		"wide":        {limits(50e9, 60e9), {"unshapedSubnets": []string{"10.9.0.0/16"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, keys...)
			s.check().OK(t)
			for command, want := range map[string]string{
				"tc qdisc del dev DEV root":                                          "what the container receives is not limited: DEV has lost its qdisc",
				"tc qdisc del dev DEV clsact":                                        "what the container sends is not limited as configured: DEV has lost filters",
				"tc qdisc del dev IFB root":                                          "what the container sends is not limited: IFB has lost its qdisc",
				"tc qdisc replace dev IFB root tbf rate 1gbit burst 100k limit 100k": "what the container sends is limited to 1000000000 bit/s",
				"ip link set IFB down":                                               "what the container sends is not limited: there is no ifb device IFB that is up",
				"ip link del IFB":                                                    "what the container sends is not limited: there is no ifb device IFB that is up",
			} {
				names := strings.NewReplacer("DEV", s.dev, "IFB", s.ifb())
				s.Run(t, "sh", "-c", names.Replace(command))
				e := s.check().Error(t)
				expect.Contains(t, e.Msg+"; "+e.Details, names.Replace(want), "patchbay reload")
				expect.Contains(t, s.Run(t, nettest.Patchbay(t), "reload"), "bandwidth of net/"+s.web.ID()+"/eth0 is limited again")
				s.check().OK(t)
			}
		})
	}
}

// TestChained: on an interface that another plugin made, DEL removes the limits and keeps the interface, with what another program added to it.
//
// Claim: DEL removes the limits from an interface that stays
func TestChained(t *testing.T) {
	h := nettest.Host(t)
	c := h.Container("web")
	h.Veth("their0", c.Netns, "eth0")
	h.Run(t, "tc", "qdisc", "add", "dev", "their0", "clsact")
	h.Run(t, "tc", "filter", "add", "dev", "their0", "egress", "u32", "match", "u32", "0", "0", "flowid", "1:1")
	state := func() string {
		return h.Run(t, "sh", "-c", "tc qdisc show dev their0; tc filter show dev their0 ingress; tc filter show dev their0 egress")
	}
	h.Baseline()
	before := state()
	for _, subnets := range []cni.Conf{{}, {"shapedSubnets": []string{"10.0.0.0/8"}}, {"unshapedSubnets": []string{"10.0.0.0/8"}}} {
		conf := network(limits(10e6, 10e6), subnets, cni.Conf{"prevResult": cni.Conf{"cniVersion": "1.1.0", "interfaces": []cni.Conf{
			{"name": "their0", "mac": h.MAC("their0")}, {"name": "eth0", "mac": c.MAC("eth0"), "sandbox": c.Path()},
		}}})
		cni.Add(t, h, c, conf)
		if state() == before {
			t.Errorf("no limits: %s", before)
		}
		cni.Del(t, h, c, conf)
		expect.Equal(t, "qdiscs and filters after DEL", state(), before)
	}
	h.Run(t, "tc", "qdisc", "add", "dev", "their0", "root", "handle", "9:", "tbf", "rate", "1gbit", "burst", "100k", "limit", "100k")
	before = state()
	conf := network(limits(10e6, 0), cni.Conf{"prevResult": cni.Conf{"cniVersion": "1.1.0", "interfaces": []cni.Conf{
		{"name": "their0", "mac": h.MAC("their0")}, {"name": "eth0", "mac": c.MAC("eth0"), "sandbox": c.Path()},
	}}})
	e := h.CNI(t, cni.Call(t, "ADD", c, conf)).Error(t)
	expect.Contains(t, e.Msg, "the root qdisc of their0: not created for this attachment")
	expect.Equal(t, "qdiscs and filters after an ADD that failed", state(), before)
	cni.Del(t, h, c, conf)
	h.Run(t, "tc", "qdisc", "del", "dev", "their0", "root")
}

// TestNothingLeft: the ifb device goes with the attachment: by DEL, also without a record, by a DEL after the namespace is gone, by GC, and
// by an ADD that fails.
//
// Claim: After DEL, GC and a failed ADD there is no ifb device and no qdisc
func TestNothingLeft(t *testing.T) {
	conf := network(limits(10e6, 10e6))
	for name, end := range map[string]func(*nettest.Node, *nettest.Container){
		"DEL": func(h *nettest.Node, c *nettest.Container) { cni.Del(t, h, c, conf) },
		"DEL without a record": func(h *nettest.Node, c *nettest.Container) {
			h.Run(t, "sh", "-c", "rm /run/patchbay/net/*.json")
			cni.Del(t, h, c, conf)
		},
		"DEL without an alias": func(h *nettest.Node, c *nettest.Container) {
			h.Run(t, "sh", "-c", "ip -br link show type ifb | while read name rest; do ip link set $name alias ''; done")
			cni.Del(t, h, c, conf)
		},
		"DEL after the namespace": func(h *nettest.Node, c *nettest.Container) {
			c.Delete()
			cni.Del(t, h, c, conf)
		},
		"GC": func(h *nettest.Node, c *nettest.Container) {
			h.CNI(t, nettest.Call{Command: "GC", Config: conf.With(cni.Conf{"cni.dev/valid-attachments": []cni.Conf{}}).JSON(t)}).OK(t)
		},
		"patchbay gc": func(h *nettest.Node, c *nettest.Container) {
			c.Delete()
			h.Run(t, "timeout", "10", "sh", "-c", "while ip -o link show type veth | grep -q veth; do sleep 0.02; done")
			h.Run(t, nettest.Patchbay(t), "gc")
		},
	} {
		h := nettest.Host(t)
		c := h.Container("web")
		h.Baseline()
		cni.Add(t, h, c, conf)
		if links := h.Run(t, "ip", "-o", "link", "show", "type", "ifb"); !strings.Contains(links, "ifb") {
			t.Errorf("%s: no ifb device: %s", name, links)
		}
		end(h, c)
		expect.Equal(t, name+": ifb devices", h.Run(t, "ip", "-o", "link", "show", "type", "ifb"), "")
	}
}
