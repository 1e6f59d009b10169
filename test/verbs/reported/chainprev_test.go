package reported

import (
	"fmt"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const ofPrev = "a prevResult without a host interface of this container: ADD creates a veth pair"

func previous() []row {
	rows := []row{
		{"21", "prevResult is that of the reference loopback", ofPrev, afterLoopback},
		{"21.7", "prevResult names the host's uplink: it keeps its address, a veth pair is created", ofPrev, uplinkNamed},
		{"21.8", "prevResult names another container's veth: it stays on its bridge, a veth pair is created", ofPrev, neighboursVethNamed},
		{"21.9", "prevResult names a tap with an address of the host: refused", ofPrev, tapOfTheHost},
		{"21.10", "prevResult names a tap with the host's default route: refused", ofPrev, tapWithDefaultRoute},
		{"21.11", "prevResult names a tap that is a port already: refused, and DEL leaves it there", ofPrev, tapOfAnother},
		{"21.12", "prevResult names a veth of this container and others: it becomes the bridge port", ofPrev, ownVethAmongOthers},
		{"21.13", "a veth pair is created, and the ADD fails late: nothing is left", ofPrev, failsLate},
		{"21.1", "prevResult is {}", ofPrev, emptyObject},
		{"21.18", "after the reference loopback in every version", ofPrev, everyVersion},
		{"21.19", "a veth pair is created, and the ADD is killed: its DEL leaves nothing", ofPrev, killedLate},
		{"21.14", "eth0 was created by a plugin without a host interface: refused", ofPrev, nameTaken},
	}
	for number, prev := range map[string]struct {
		name   string
		prev   cni.Conf
		prevAt []string // interfaces after ours in the result
	}{
		"21.2": {"prevResult has lists that are null", cni.Conf{"interfaces": nil, "ips": nil, "routes": nil}, nil},
		"21.3": {"prevResult has a bridge only", cni.Conf{"interfaces": []cni.Conf{{"name": "br9"}}}, []string{"br9"}},
		"21.4": {"prevResult has an interface of another sandbox", cni.Conf{"interfaces": []cni.Conf{{"name": "eth0", "sandbox": "/run/netns/other"}}}, []string{"eth0@"}},
		"21.5": {"prevResult has an interface that does not exist", cni.Conf{"interfaces": []cni.Conf{{"name": "dummy5e1a"}}}, []string{"dummy5e1a"}},
		"21.6": {"prevResult has an address without an interface", cni.Conf{"ips": []cni.Conf{{"address": "192.0.2.7/24"}}}, nil},
	} {
		rows = append(rows, row{number, prev.name, ofPrev, func(t *testing.T) { makesVeth(t, prev.prev, prev.prevAt) }})
	}
	return rows
}

// listed returns a configuration as it is passed to a later plugin of a list.
func listed(conf, prev cni.Conf) cni.Conf {
	return conf.With(cni.Conf{"prevResult": prev.With(cni.Conf{"cniVersion": conf["cniVersion"]})})
}

func emptyObject(t *testing.T) {
	h := nettest.Host(t)
	a := &called{h: h, c: h.Container("c"), conf: routed(cni.Conf{"prevResult": cni.Conf{}})}
	expect.Equal(t, "interfaces", namesOf(a.cycle(t)), []string{"cni0", "veth", "eth0@"})
}

// everyVersion runs both plugins in each version; results before 0.3.0 have no interfaces, and one address of each
// family.
func everyVersion(t *testing.T) {
	h := nettest.Host(t)
	for i, version := range []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		c := h.Container(fmt.Sprintf("c%d", i))
		lo := &called{h: h, c: c, conf: cni.Conf{"cniVersion": version, "name": "net", "type": "loopback"}, path: pluginDir(t, "loopback"), program: nettest.Program(t, "loopback")}
		lo.add(t)
		a := &called{h: h, c: c, conf: routed(cni.Conf{"cniVersion": version, "prevResult": lo.prev})}
		expect.Equal(t, version+": addresses", addressesOf(a.add(t)), []string{fmt.Sprintf("10.1.0.%d/24", i+2), fmt.Sprintf("fd00:1::%d/64", i+2)})
		ping(t, c, "10.1.0.1", "fd00:1::1")
		if version >= "0.4.0" {
			a.run(t, "CHECK").OK(t)
		}
		a.run(t, "DEL").OK(t)
	}
	h.NoLeaks(t)
	bare := cni.Conf{"cniVersion": "0.2.0", "name": "net", "type": "patchbay", "prevResult": cni.Conf{"ip4": cni.Conf{"ip": "127.0.0.1/8"}}}
	e := (&called{h: h, c: h.Container("bare"), conf: bare}).run(t, "ADD").Error(t)
	expect.Contains(t, e.Msg, "a result of version 0.2.0 must have an address")
}

// makesVeth requires an ordinary attachment, whatever prevResult is, in every verb and GC.
func makesVeth(t *testing.T, prev cni.Conf, behind []string) {
	h := nettest.Host(t)
	h.Bridge("br9")
	h.Baseline()
	a := &called{h: h, c: h.Container("c"), conf: listed(routed(), prev)}
	r := a.add(t)
	expect.Equal(t, "interfaces", namesOf(r), append([]string{"cni0", "veth", "eth0@"}, behind...))
	expect.Equal(t, "first address is of eth0", r.Interfaces[*r.IPs[0].Interface].Name, "eth0")
	expect.Equal(t, "first addresses", addressesOf(r)[:2], []string{"10.1.0.2/24", "fd00:1::2/64"})
	ping(t, a.c, "10.1.0.1", "fd00:1::1")
	a.run(t, "CHECK").OK(t)
	e := a.run(t, "ADD").Error(t)
	expect.Equal(t, "code of a second ADD", e.Code, 100)
	a.run(t, "DEL").OK(t)
	h.NoLeaks(t)
	a.prev = nil
	a.add(t)
	a.conf = routed(cni.Conf{"cni.dev/valid-attachments": []cni.Conf{}})
	a.run(t, "GC").OK(t)
	h.NoLeaks(t)
}

func afterLoopback(t *testing.T) {
	h, dir := nettest.Host(t), pluginDir(t, "loopback")
	c := h.Container("c")
	lo := &called{h: h, c: c, conf: cni.Conf{"cniVersion": "1.1.0", "name": "net", "type": "loopback"}, path: dir, program: nettest.Program(t, "loopback")}
	prev := lo.add(t)
	expect.Equal(t, "addresses of lo", addressesOf(prev), []string{"127.0.0.1/8", "::1/128"})
	a := &called{h: h, c: c, conf: routed(cni.Conf{"prevResult": lo.prev})}
	r := a.add(t)
	expect.Equal(t, "interfaces", namesOf(r), []string{"cni0", "veth", "eth0@", "lo@"})
	expect.Equal(t, "addresses", addressesOf(r), []string{"10.1.0.2/24", "fd00:1::2/64"})
	expect.Equal(t, "their interface", []int{*r.IPs[0].Interface, *r.IPs[1].Interface}, []int{2, 2})
	ping(t, c, "10.1.0.1", "fd00:1::1")
	a.run(t, "CHECK").OK(t)
	a.run(t, "DEL").OK(t)
	h.NoLeaks(t)
}

func uplinkNamed(t *testing.T) {
	h := nettest.Host(t)
	router := h.Container("router")
	h.Veth("eth0", router.Netns, "eth0")
	h.AddAddress("eth0", "192.0.2.2/24")
	h.AddRoute("0.0.0.0/0", "192.0.2.1")
	h.Baseline()
	a := &called{h: h, c: h.Container("c"), conf: listed(routed(), cni.Conf{"interfaces": []cni.Conf{{"name": "eth0", "mac": h.MAC("eth0")}}})}
	answer := a.run(t, "ADD").OK(t)
	a.prev = answer.Stdout
	expect.Contains(t, string(answer.Stderr), "prevResult has eth0, which is not an interface of this container: creating a veth pair")
	expect.Equal(t, "master of the uplink", masterOf(t, h, "eth0"), "")
	ping(t, a.c, "10.1.0.1", "192.0.2.2")
	a.run(t, "CHECK").OK(t)
	a.run(t, "DEL").OK(t)
	h.NoLeaks(t)
}

func neighboursVethNamed(t *testing.T) {
	h := nettest.Host(t)
	neighbour := &called{h: h, c: h.Container("neighbour"), conf: routed()}
	their := hostInterfaceOf(neighbour.add(t))
	for _, bridge := range []string{"cni0", "cni1"} {
		conf := routed(cni.Conf{"name": "other", "bridge": bridge, "isDefaultGateway": false, "ipam": cni.Conf{"type": "patchbay", "subnet": "10.2.0.0/24"}})
		a := &called{h: h, c: h.Container(bridge), conf: listed(conf, cni.Conf{"interfaces": []cni.Conf{{"name": their}}})}
		a.add(t)
		expect.Equal(t, "master of the neighbour's veth", masterOf(t, h, their), "cni0")
		a.run(t, "DEL").OK(t)
		expect.Equal(t, "master of the neighbour's veth after DEL", masterOf(t, h, their), "cni0")
	}
	ping(t, neighbour.c, "10.1.0.1", "fd00:1::1")
	neighbour.run(t, "CHECK").OK(t)
	neighbour.run(t, "DEL").OK(t)
}

// tapRefused creates and prepares a tap, and requires that an ADD that names it fails and a DEL keeps it.
func tapRefused(t *testing.T, prepare []string, master string, parts ...string) {
	h := nettest.Host(t)
	h.Bridge("br9")
	for _, command := range append([]string{"tuntap add tap0 mode tap", "link set tap0 up"}, prepare...) {
		h.Run(t, "ip", words(command)...)
	}
	h.Baseline()
	conf := cni.Conf{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "br9", "ipam": cni.Conf{"type": "patchbay", "subnet": "10.1.0.0/24"}}
	a := &called{h: h, c: h.Container("c"), conf: listed(conf, cni.Conf{"interfaces": []cni.Conf{{"name": "tap0"}}})}
	e := a.run(t, "ADD").Error(t)
	expect.Equal(t, "code", e.Code, 7)
	expect.Contains(t, e.Msg, append(parts, "interface tap0 of prevResult is in use")...)
	h.NoLeaks(t)
	a.prev = cni.Conf{"cniVersion": "1.1.0", "interfaces": []cni.Conf{{"name": "tap0"}}}.JSON(t)
	a.run(t, "DEL").OK(t)
	expect.Equal(t, "master", masterOf(t, h, "tap0"), master)
	h.NoLeaks(t)
}

func tapOfTheHost(t *testing.T) {
	tapRefused(t, []string{"addr add 2001:db8:5::1/64 dev tap0 nodad"}, "", "the host has the address 2001:db8:5::1/64 on it")
}

func tapWithDefaultRoute(t *testing.T) {
	tapRefused(t, []string{"route add default dev tap0"}, "", "the host has a route through it")
}

func tapOfAnother(t *testing.T) {
	tapRefused(t, []string{"link set tap0 master br9"}, "br9", "it is a port of bridge br9 already")
}

func ownVethAmongOthers(t *testing.T) {
	h := nettest.Host(t)
	c, other := h.Container("c"), h.Container("other")
	h.Veth("their0", other.Netns, "eth0")
	h.Veth("mine0", c.Netns, "eth0")
	h.Run(t, "ip", "tuntap", "add", "tap0", "mode", "tap")
	h.Baseline()
	prev := cni.Conf{"interfaces": []cni.Conf{{"name": "their0"}, {"name": "tap0"}, {"name": "mine0"}, {"name": "eth0", "sandbox": c.Path()}}}
	a := &called{h: h, c: c, conf: listed(routed(), prev)}
	expect.Equal(t, "interfaces", namesOf(a.add(t)), []string{"their0", "tap0", "mine0", "eth0@", "cni0"})
	expect.Equal(t, "masters", []string{masterOf(t, h, "their0"), masterOf(t, h, "tap0"), masterOf(t, h, "mine0")}, []string{"", "", "cni0"})
	ping(t, c, "10.1.0.1")
	a.run(t, "CHECK").OK(t)
	a.run(t, "DEL").OK(t)
	expect.Equal(t, "master after DEL", masterOf(t, h, "mine0"), "")
	h.NoLeaks(t)
}

func failsLate(t *testing.T) {
	h := nettest.Host(t)
	conf := routed(cni.Conf{"ipam": cni.Conf{"type": "fails"}})
	dir := pluginDir(t)
	writeProgram(t, dir, "fails", `[ "$CNI_COMMAND" = ADD ] && echo '{"code": 11, "msg": "no lease"}' && exit 1; exit 0`)
	a := &called{h: h, c: h.Container("c"), conf: listed(conf, cni.Conf{"interfaces": []cni.Conf{{"name": "lo", "sandbox": "/run/netns/c"}}}), path: dir}
	expect.Contains(t, a.run(t, "ADD").Error(t).Msg, "no lease")
	_, err := a.c.Netlink().LinkByName("eth0")
	expect.Equal(t, "eth0 is gone", err != nil, true)
	h.NoLeaks(t)
}

func killedLate(t *testing.T) {
	h := nettest.Host(t)
	dir := pluginDir(t)
	writeProgram(t, dir, "kills", `[ "$CNI_COMMAND" = ADD ] && kill -9 "$PPID"; exit 0`)
	a := &called{h: h, c: h.Container("c"), conf: listed(routed(cni.Conf{"ipam": cni.Conf{"type": "kills"}}), cni.Conf{"interfaces": []cni.Conf{{"name": "lo", "sandbox": "/run/netns/c"}}}), path: dir}
	expect.Equal(t, "exit status", a.run(t, "ADD").Exit, -1)
	_, err := a.c.Netlink().LinkByName("eth0")
	expect.Equal(t, "eth0 is there", err, nil)
	a.run(t, "DEL").OK(t)
	h.NoLeaks(t)
}

func nameTaken(t *testing.T) {
	h := nettest.Host(t)
	c := h.Container("c")
	h.Run(t, "ip", "link", "add", "eth0", "netns", "/run/netns/c", "type", "bridge")
	h.Baseline()
	a := &called{h: h, c: c, conf: listed(routed(), cni.Conf{"interfaces": []cni.Conf{{"name": "eth0", "sandbox": c.Path()}}})}
	e := a.run(t, "ADD").Error(t)
	expect.Contains(t, e.Msg, "interface eth0 in /run/netns/c: name already in use")
	h.NoLeaks(t)
}

// hostInterfaceOf returns the host interface of the result.
func hostInterfaceOf(r *types100.Result) string { return r.Interfaces[1].Name }
