package networks

import (
	"fmt"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/names"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// theirs is the bridge of a main plugin that is not Patchbay.
const theirs = "their0"

// Named returns the families of the plugins of a chain, each called by its own name: behind Patchbay's bridge, whose record it extends, and
// behind another main plugin, where it has a record of its own.
func Named() []Family {
	main := cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64"))
	var all []Family
	for _, f := range []Family{
		{Name: "portmap", conf: plugin("portmap"), host: uplink, publishes: true, container: published},
		{Name: "firewall", conf: plugin("firewall", cni.Conf{"ingressPolicy": "isolated"}), container: neighbour},
		{Name: "bandwidth", conf: plugin("bandwidth", limits())},
		{Name: "tuning", conf: plugin("tuning", tuned(), cni.Conf{"sbr": cni.Absent, "mac": "02:00:00:00:53:01", "mtu": 1400})},
		{Name: "sbr", conf: plugin("sbr"), moves: true},
	} {
		behind := f
		f.Name, f.main = f.Name+" behind bridge", main
		behind.Name, behind.theirs = behind.Name+" behind another plugin", true
		all = append(all, f, behind)
	}
	return all
}

// plugin returns the configuration of a plugin of a chain.
func plugin(name string, keys ...cni.Conf) cni.Conf {
	return cni.Conf{"cniVersion": "1.1.0", "name": "net", "type": name}.With(keys...)
}

// isByName reports whether the plugin of the family follows a main plugin and is called by its own name.
func (f Family) isByName() bool {
	name, _ := f.conf["type"].(string)
	p, known := names.Of(name)
	return known && p.Kind == names.Chained
}

// MovesRoutes reports whether the plugin moves routes of the container that its DEL does not return.
func (f Family) MovesRoutes() bool { return f.moves }

// IsBehindTheirs reports whether the main plugin is another one than Patchbay.
func (f Family) IsBehindTheirs() bool { return f.theirs }

// LoseInterface deletes the interface of One, which another main plugin made. What the oracle misses of the interface and in its container from
// then on is no leak.
func (s *Scene) LoseInterface(t testing.TB) {
	t.Helper()
	host := "their-" + s.One.c.Name()
	s.Run(t, "ip", "link", "del", host)
	for _, prefix := range []string{"link " + host, "link " + theirs + " mac", "container " + s.One.c.Name() + ": ", "qdisc " + host} {
		s.Allow(prefix)
	}
}

// attachTheirs attaches a container to the bridge of another main plugin, with addresses and default routes, and returns its prevResult.
func (s *Scene) attachTheirs(c *nettest.Container) cni.Conf {
	host, n := "their-"+c.Name(), hostPort(c.Name())-8000+1
	addr4, addr6 := fmt.Sprintf("10.1.0.%d/24", n), fmt.Sprintf("fd00:1::%d/64", n)
	s.Veth(host, c.Netns, "eth0")
	s.Plug(host, theirs)
	c.AddAddress("eth0", addr4, addr6)
	c.AddRoute("0.0.0.0/0", "10.1.0.1")
	c.AddRoute("::/0", "fd00:1::1")
	return cni.Conf{"prevResult": cni.Conf{
		"cniVersion": "1.1.0",
		"interfaces": []cni.Conf{{"name": theirs, "mac": s.MAC(theirs)}, {"name": host, "mac": s.MAC(host)}, {"name": "eth0", "mac": c.MAC("eth0"), "sandbox": c.Path()}},
		"ips":        []cni.Conf{{"address": addr4, "gateway": "10.1.0.1", "interface": 2}, {"address": addr6, "gateway": "fd00:1::1", "interface": 2}},
		"routes":     []cni.Conf{{"dst": "0.0.0.0/0"}, {"dst": "::/0"}},
	}}
}

// attachMain calls ADD of the main plugin, if the family has one, whose result is prevResult of the plugin.
func (a *Attachment) attachMain(t testing.TB) {
	t.Helper()
	if a.scene.main == nil {
		return
	}
	a.result = a.mainCall(t, "ADD").OK(t).Stdout
	a.more = a.more.With(cni.Prev(a.result))
}

// detachMain calls DEL of the main plugin, once.
func (a *Attachment) detachMain(t testing.TB) {
	t.Helper()
	if a.result == nil {
		return
	}
	a.mainCall(t, "DEL").OK(t)
	a.result = nil
}

func (a *Attachment) mainCall(t testing.TB, verb string) nettest.Answer {
	t.Helper()
	conf := a.scene.main
	if a.result != nil {
		conf = conf.With(cni.Prev(a.result))
	}
	return a.scene.CNI(t, nettest.Call{Command: verb, ContainerID: a.c.ID(), Netns: a.c.Path(), IfName: a.scene.IfName, Path: nowhere, Config: conf.JSON(t)})
}
