package reported

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// stated is an attachment on a host in a tested state.
func stated(t *testing.T, conf cni.Conf) *called {
	t.Helper()
	h := nettest.Host(t)
	return &called{h: h, c: h.Container("web"), conf: conf}
}

// routed4 returns a network that is routed for IPv4 only.
func routed4(more ...cni.Conf) cni.Conf {
	return routed(cni.Conf{"ipam": cni.Conf{"type": "patchbay", "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}}}).With(more...)
}

// set sets sysctls of the host and takes that for its first state.
func (a *called) set(names, value string) {
	for name := range strings.FieldsSeq(names) {
		a.h.SetSysctl(name, value)
	}
	a.h.Baseline()
}

// readOnly mounts a directory read-only, for programs that are started from now on, until the test ends.
func (a *called) readOnly(t *testing.T, dir string) (writable func()) {
	t.Helper()
	a.h.Run(t, "mount", "--bind", dir, dir)
	a.h.Run(t, "mount", "-o", "remount,bind,ro", dir)
	return func() { a.h.Run(t, "umount", dir) }
}

// reaches requires that addresses reply to the container.
func (a *called) reaches(t *testing.T, addresses ...string) {
	t.Helper()
	for _, addr := range addresses {
		if err := a.c.PingOnce(netip.MustParseAddr(addr)); err != nil {
			t.Error(err)
		}
	}
}

// fails requires that a verb fails with a code and with texts in message and details.
func (a *called) fails(t *testing.T, verb string, code uint, msg, details string) {
	t.Helper()
	e := a.run(t, verb).Error(t)
	if e.Code != code || !strings.Contains(e.Msg, msg) || !strings.Contains(e.Details, details) {
		t.Errorf("%s: code %d, %q, details %q; want %d, %q, %q", verb, e.Code, e.Msg, e.Details, code, msg, details)
	}
}

// says requires a text in the output of a command, and an exit code.
func (a *called) says(t *testing.T, exit int, text string, args ...string) {
	t.Helper()
	n := &addrNode{Node: a.h}
	answer := n.patchbay(t, args...)
	if answer.Exit != exit || !strings.Contains(string(answer.Stdout)+string(answer.Stderr), text) {
		t.Errorf("patchbay %s: want status %d and %q: %s", strings.Join(args, " "), exit, text, answer)
	}
}

// whole runs STATUS, ADD, CHECK, pings from the container, and DEL, after which nothing is left.
func (a *called) whole(t *testing.T, addresses ...string) {
	t.Helper()
	a.run(t, "STATUS").OK(t)
	a.add(t)
	a.reaches(t, addresses...)
	a.run(t, "CHECK").OK(t)
	a.run(t, "STATUS").OK(t)
	a.run(t, "DEL").OK(t)
	a.h.NoLeaks(t)
}

func ipv6OffEverywhere(t *testing.T) {
	a := stated(t, routed())
	a.set("net/ipv6/conf/all/disable_ipv6 net/ipv6/conf/default/disable_ipv6", "1")
	a.whole(t, "10.1.0.1", "fd00:1::1")
	for name, want := range map[string]string{"cni0": "0", "all": "1", "default": "1", "lo": "1"} {
		if got := a.h.Sysctl("net/ipv6/conf/" + name + "/disable_ipv6"); got != want {
			t.Errorf("disable_ipv6 of %s is %s, not %s", name, got, want)
		}
	}
}

func ipv6OffByDefault(t *testing.T) {
	for _, name := range []string{"default", "lo"} {
		a := stated(t, routed())
		a.set("net/ipv6/conf/"+name+"/disable_ipv6", "1")
		a.whole(t, "10.1.0.1", "fd00:1::1")
		if got := a.h.Sysctl("net/ipv6/conf/" + name + "/disable_ipv6"); got != "1" {
			t.Errorf("disable_ipv6 of %s is %s", name, got)
		}
	}
}

func ipv6OffInContainer(t *testing.T) {
	static := cni.Conf{"type": "static", "addresses": []cni.Conf{{"address": "10.1.0.7/24", "gateway": "10.1.0.1"}, {"address": "fd00:1::7/64", "gateway": "fd00:1::1"}}}
	for _, ipam := range []cni.Conf{static, routed()["ipam"].(cni.Conf)} {
		a := stated(t, routed(cni.Conf{"ipam": ipam}))
		a.path = filepath.Dir(nettest.Program(t, "static"))
		for _, name := range []string{"all", "default", "lo"} {
			a.c.SetSysctl("net/ipv6/conf/"+name+"/disable_ipv6", "1")
		}
		a.add(t)
		a.reaches(t, "10.1.0.1", "fd00:1::1")
		a.run(t, "CHECK").OK(t)
		a.c.SetSysctl("net/ipv6/conf/eth0/disable_ipv6", "1")
		a.fails(t, "CHECK", 106, "IPv6 is disabled on eth0 in the container: net.ipv6.conf.eth0.disable_ipv6 is 1", "DEL and ADD")
		a.run(t, "DEL").OK(t)
	}
}

// ipv6OffOnAdoptedBridge: the administrator of the bridge disabled IPv6. A network that needs no address of the bridge
// works without.
func ipv6OffOnAdoptedBridge(t *testing.T) {
	a := stated(t, routed(cni.Conf{"bridge": "br0"}))
	a.h.Bridge("br0")
	a.set("net/ipv6/conf/br0/disable_ipv6", "1")
	const msg, fix = "IPv6 is disabled on bridge br0: set net.ipv6.conf.br0.disable_ipv6 to 0: bridge not created by Patchbay", "sysctl -w net.ipv6.conf.br0.disable_ipv6=0"
	a.fails(t, "ADD", 109, msg, fix)
	a.h.NoLeaks(t)
	a.fails(t, "STATUS", 50, "no container can be attached: "+msg, fix)
	routedConf := a.conf
	a.conf = routed4(cni.Conf{"bridge": "br0"})
	a.whole(t, "10.1.0.1")
	a.conf = routedConf.With(cni.Conf{"isDefaultGateway": false})
	a.whole(t)
	a.h.SetSysctl("net/ipv6/conf/br0/disable_ipv6", "0")
	a.h.Baseline()
	a.conf = routedConf
	a.whole(t, "10.1.0.1", "fd00:1::1")
}

func ipv6NotInKernel(t *testing.T) {
	a := stated(t, routed())
	a.h.Run(t, "mount", "-t", "tmpfs", "none", "/proc/sys/net/ipv6") // after a boot with ipv6.disable=1 there are no such sysctls
	a.h.Baseline()
	const msg = "kernel without IPv6: /proc/sys/net/ipv6/conf does not exist"
	for _, more := range []cni.Conf{{}, {"isDefaultGateway": false}} {
		a.conf = routed(more)
		a.fails(t, "ADD", 109, msg, "ipv6.disable=1")
		a.fails(t, "STATUS", 50, "no container can be attached: "+msg, "ipv6.disable=1")
	}
	a.h.NoLeaks(t)
	a.conf = routed4()
	a.whole(t, "10.1.0.1")
}

func ipv6OffLater(t *testing.T) {
	a := stated(t, routed())
	a.add(t)
	a.h.SetSysctl("net/ipv6/conf/all/disable_ipv6", "1")
	a.fails(t, "CHECK", 106, "bridge cni0 has lost the gateway address fd00:1::1/64", "IPv6 is disabled on bridge cni0: its containers have no IPv6 gateway: net.ipv6.conf.cni0.disable_ipv6 is 1; attachment, host and configuration no longer agree: run patchbay reload")
	a.says(t, 1, "IPv6 is disabled on bridge cni0: its containers have no IPv6 gateway\n   seen: net.ipv6.conf.cni0.disable_ipv6 is 1\n   fix:  patchbay reload", "doctor")
	a.says(t, 0, "bridge cni0 has fd00:1::1/64 again", "reload")
	a.reaches(t, "10.1.0.1", "fd00:1::1")
	a.run(t, "CHECK").OK(t)
	a.says(t, 0, "", "doctor")
	a.h.SetSysctl("net/ipv6/conf/cni0/disable_ipv6", "1")
	two := &called{h: a.h, c: a.h.Container("two"), conf: a.conf}
	two.add(t) // the next one repairs it too
	a.reaches(t, "fd00:1::1")
	two.run(t, "DEL").OK(t)
	a.run(t, "DEL").OK(t)
	a.h.SetSysctl("net/ipv6/conf/all/disable_ipv6", "0")
}

func ipv6OffReadOnly(t *testing.T) {
	a := stated(t, routed())
	a.set("net/ipv4/ip_forward net/ipv6/conf/all/forwarding net/ipv6/conf/default/disable_ipv6", "1")
	writable := a.readOnly(t, "/proc/sys")
	const msg, fix = "IPv6 is disabled on new interfaces: set net.ipv6.conf.default.disable_ipv6 to 0: read-only file system", "sysctl -w net.ipv6.conf.default.disable_ipv6=0"
	a.fails(t, "ADD", 109, msg, fix)
	a.fails(t, "STATUS", 50, "no container can be attached: "+msg, fix)
	a.h.NoLeaks(t)
	writable()
	a.whole(t, "10.1.0.1", "fd00:1::1")
}

func readOnlyRouted(t *testing.T) {
	a := stated(t, routed4(cni.Conf{"ipMasq": true}))
	a.set("net/ipv4/ip_forward", "1")
	defer a.readOnly(t, "/proc/sys")()
	a.whole(t, "10.1.0.1")
}

func readOnlyPlain(t *testing.T) {
	a := stated(t, routed(cni.Conf{"isDefaultGateway": false}))
	defer a.readOnly(t, "/proc/sys")()
	a.whole(t)
	a.conf = cni.Conf{"cniVersion": "1.1.0", "name": "net", "type": "patchbay"}
	a.whole(t)
}

// readOnlyPorts: what route_localnet would allow does not work, and is reported; a port of 127.0.0.1 alone would have
// no use.
func readOnlyPorts(t *testing.T) {
	a := stated(t, routed4())
	a.set("net/ipv4/ip_forward", "1")
	defer a.readOnly(t, "/proc/sys")()
	publish := func(hostIP string) cni.Conf {
		return cni.Conf{"runtimeConfig": cni.Conf{"portMappings": []cni.Conf{{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": hostIP}}}}
	}
	a.conf = routed4(publish(""), cni.Conf{"capabilities": cni.Conf{"portMappings": true}})
	answer := a.run(t, "ADD")
	a.prev = answer.OK(t).Stdout
	if want := "published ports are not reachable on 127.0.0.1: set net.ipv4.conf.default.route_localnet to 1: read-only file system"; !strings.Contains(string(answer.Stderr), want) && !strings.Contains(string(answer.Stderr), strings.Replace(want, "default", "cni0", 1)) {
		t.Errorf("stderr is %q", answer.Stderr)
	}
	a.run(t, "CHECK").OK(t)
	a.run(t, "DEL").OK(t)
	a.conf = a.conf.With(publish("127.0.0.1"))
	a.fails(t, "ADD", 109, "set net.ipv4.conf.cni0.route_localnet to 1: read-only file system", "sysctl -w net.ipv4.conf.cni0.route_localnet=1")
	a.h.NoLeaks(t)
}

// readOnlyDualStack: sysctls that prevent others on the link from configuring the container are reported and not
// fatal.
func readOnlyDualStack(t *testing.T) {
	a := stated(t, routed())
	a.set("net/ipv4/ip_forward net/ipv6/conf/all/forwarding", "1")
	off := a.h.Container("off")
	off.SetSysctl("net/ipv6/conf/default/disable_ipv6", "1")
	defer a.readOnly(t, "/proc/sys")()
	a.run(t, "STATUS").OK(t)
	answer := a.run(t, "ADD")
	a.prev = answer.OK(t).Stdout
	if want := "set net.ipv6.conf.eth0.accept_ra to 0: read-only file system"; !strings.Contains(string(answer.Stderr), want) {
		t.Errorf("stderr is %q, not %q", answer.Stderr, want)
	}
	a.reaches(t, "10.1.0.1", "fd00:1::1")
	a.run(t, "CHECK").OK(t)
	a.run(t, "DEL").OK(t)
	a.c = off // only of this container
	a.fails(t, "ADD", 109, "set net.ipv6.conf.eth0.disable_ipv6 to 0: read-only file system", "sysctl -w net.ipv6.conf.eth0.disable_ipv6=0")
	a.h.NoLeaks(t)
}

func readOnlyIPv6(t *testing.T) {
	a := stated(t, routed4())
	defer a.readOnly(t, "/proc/sys/net/ipv6")()
	a.whole(t, "10.1.0.1")
	a.conf = routed()
	const msg = "IP forwarding is disabled and cannot be enabled: set net.ipv6.conf.all.forwarding to 1: read-only file system"
	a.fails(t, "ADD", 109, msg, "sysctl -w net.ipv6.conf.all.forwarding=1")
	a.fails(t, "STATUS", 50, msg, "sysctl -w net.ipv6.conf.all.forwarding=1")
}

func readOnlyNotForwarding(t *testing.T) {
	a := stated(t, routed4())
	writable := a.readOnly(t, "/proc/sys")
	const msg = "IP forwarding is disabled and cannot be enabled: set net.ipv4.ip_forward to 1: read-only file system"
	a.fails(t, "ADD", 109, msg, "sysctl -w net.ipv4.ip_forward=1 as root of the host, or let the plugin write below /proc/sys")
	a.fails(t, "STATUS", 50, "no container can be attached: "+msg, "sysctl -w net.ipv4.ip_forward=1")
	a.h.NoLeaks(t)
	writable()
	a.whole(t, "10.1.0.1")
}

func readOnlyPeople(t *testing.T) {
	a := stated(t, routed4())
	a.set("net/ipv4/ip_forward", "1")
	defer a.readOnly(t, "/proc/sys")()
	a.h.NoOracle("a namespace of up goes when down has ended")
	a.says(t, 0, "", "up", "box")
	a.says(t, 0, "", "down", "box")
	a.says(t, 0, "", "attach", "web")
	a.says(t, 0, "", "detach", "web")
}

// outside is a host beyond the uplink up0, which replies at 192.0.2.1 and 2001:db8::1 and has a route back.
func (a *called) outside(t *testing.T) {
	t.Helper()
	there := a.h.Container("outside")
	a.h.Veth("up0", there.Netns, "eth0")
	there.AddAddress("eth0", "192.0.2.1/24", "2001:db8::1/64")
	a.h.AddAddress("up0", "192.0.2.2/24", "2001:db8::2/64")
	a.h.Settle("up0")
	there.Settle("eth0")
	a.h.Run(t, "ip", "route", "add", "default", "via", "192.0.2.1")
	a.h.Run(t, "ip", "route", "add", "default", "via", "2001:db8::1")
	there.AddRoute("10.1.0.0/24", "192.0.2.2")
	there.AddRoute("fd00:1::/64", "2001:db8::2")
	a.set("net/ipv4/ip_forward net/ipv6/conf/all/forwarding", "1")
}

func defaultNotForwarding(t *testing.T) {
	a := stated(t, routed4())
	a.outside(t)
	a.set("net/ipv4/conf/default/forwarding", "0")
	a.whole(t, "192.0.2.1")
	if got := a.h.Sysctl("net/ipv4/conf/cni0/forwarding"); got != "1" {
		t.Errorf("forwarding of cni0 is %s", got)
	}
	if got := a.h.Sysctl("net/ipv4/conf/default/forwarding"); got != "0" {
		t.Errorf("forwarding of default is %s", got)
	}
}

func uplinkNotForwarding(t *testing.T) {
	a := stated(t, routed4())
	a.outside(t)
	a.set("net/ipv4/conf/up0/forwarding", "0")
	a.limited(t, "uplink up0 does not forward IPv4: no packet from beyond the host reaches a container", "net.ipv4.conf.up0.forwarding")
	a.h.SetSysctl("net/ipv4/conf/up0/forwarding", "1")
	a.h.Baseline()
	a.whole(t, "192.0.2.1")
}

func adoptedNotForwarding(t *testing.T) {
	a := stated(t, routed4(cni.Conf{"bridge": "br0"}))
	a.h.Bridge("br0")
	a.outside(t)
	a.set("net/ipv4/conf/br0/forwarding", "0")
	a.limited(t, "bridge br0 does not forward IPv4: its containers reach nothing beyond the host", "net.ipv4.conf.br0.forwarding")
	a.h.SetSysctl("net/ipv4/conf/br0/forwarding", "1")
	a.h.Baseline()
	a.whole(t, "192.0.2.1")
}

// limited: ADD succeeds, STATUS is 51, and CHECK and doctor name the sysctl.
func (a *called) limited(t *testing.T, says, sysctl string) {
	t.Helper()
	fix := "sysctl -w " + sysctl + "=1"
	a.fails(t, "STATUS", 51, "containers have limited connectivity: "+says+": "+sysctl+" is 0", fix)
	a.prev = a.run(t, "ADD").OK(t).Stdout
	if err := a.c.PingOnce(netip.MustParseAddr("192.0.2.1")); err == nil {
		t.Error("the container is not limited at all")
	}
	a.fails(t, "CHECK", 106, says+": "+sysctl+" is 0", "set it on the host: "+fix)
	a.says(t, 1, says+"\n   seen: "+sysctl+" is 0\n   fix:  "+fix, "doctor")
	a.run(t, "DEL").OK(t)
	if got := a.h.Sysctl(strings.ReplaceAll(sysctl, ".", "/")); got != "0" {
		t.Errorf("%s is %s", sysctl, got)
	}
	a.h.NoLeaks(t)
}

// ipv6InterfacesNotForwarding: IPv6 is forwarded if the sysctl of "all" is set.
func ipv6InterfacesNotForwarding(t *testing.T) {
	a := stated(t, routed())
	a.outside(t)
	a.set("net/ipv6/conf/default/forwarding net/ipv6/conf/up0/forwarding", "0")
	a.whole(t, "192.0.2.1", "2001:db8::1")
	if got := a.h.Sysctl("net/ipv6/conf/cni0/forwarding"); got != "1" {
		t.Errorf("IPv6 forwarding of cni0 is %s: its neighbour advertisements do not say that it is a router", got)
	}
}

func bridgeNotForwardingLater(t *testing.T) {
	a := stated(t, routed4())
	a.outside(t)
	a.add(t)
	a.h.SetSysctl("net/ipv4/conf/cni0/forwarding", "0")
	const says = "bridge cni0 does not forward IPv4: its containers reach nothing beyond the host"
	a.fails(t, "CHECK", 106, says+": net.ipv4.conf.cni0.forwarding is 0", "run patchbay reload")
	a.says(t, 1, says+"\n   seen: net.ipv4.conf.cni0.forwarding is 0\n   fix:  patchbay reload", "doctor")
	a.says(t, 0, "the host forwards IPv4 from bridge cni0 again", "reload")
	a.reaches(t, "192.0.2.1")
	a.run(t, "CHECK").OK(t)
	a.h.SetSysctl("net/ipv4/conf/cni0/forwarding", "0")
	a.run(t, "STATUS").OK(t) // the next ADD sets it
	two := &called{h: a.h, c: a.h.Container("two"), conf: a.conf}
	two.add(t)
	two.reaches(t, "192.0.2.1")
	two.run(t, "DEL").OK(t)
	a.run(t, "DEL").OK(t)
}

func defaultNotForwardingReadOnly(t *testing.T) {
	a := stated(t, routed4())
	a.outside(t)
	a.set("net/ipv4/conf/default/forwarding", "0")
	defer a.readOnly(t, "/proc/sys")()
	a.whole(t, "192.0.2.1")
}
