package reported

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const ofRole = "the role follows from the name of the executable; a main plugin never succeeds without an interface"

func roles() []row {
	return []row{
		{"26", "a copy called bridge, type bridge, ipam.type patchbay: main plugin", ofRole, copyAsBridge},
		{"26.1", "called patchbay, type bridge, which CNI_PATH does not have: refused", ofRole, nobodyToDelegate},
		{"26.2", "called patchbay, type bridge, and bridge is a link to patchbay: main plugin", ofRole, linkAsBridge},
		{"26.3", "the reference bridge delegates to ipam.type patchbay: addresses", ofRole, referenceDelegates},
		{"26.4", "called patchbay-v2, type patchbay: main plugin", ofRole, anotherNameAsMain},
		{"26.5", "called patchbay-v2, which neither type nor ipam.type names: refused", ofRole, anotherNameOfNeither},
		{"26.6", "ipam.type names a copy of patchbay: it is the built-in IPAM", ofRole, copyAsIPAM},
		{"26.7", "called host-local without a section ipam: refused", ofRole, hostLocalWithoutIPAM},
		{"26.8", "a whole list on stdin: refused, with what to pass instead", ofRole, wholeList},
	}
}

// mainPlugin requires the answer of a main plugin to every verb.
func mainPlugin(t *testing.T, a *called) {
	t.Helper()
	a.run(t, "STATUS").OK(t)
	expect.Equal(t, "interfaces", namesOf(a.add(t)), []string{"cni0", "veth", "eth0@"})
	_, err := a.c.Netlink().LinkByName("eth0")
	expect.Equal(t, "eth0 is there", err == nil, true)
	a.run(t, "CHECK").OK(t)
	kept := a.conf
	a.conf = kept.With(cni.Conf{"cni.dev/valid-attachments": []cni.Conf{}})
	a.run(t, "GC").OK(t)
	_, err = a.c.Netlink().LinkByName("eth0")
	expect.Equal(t, "eth0 is gone after a GC that keeps nothing", err != nil, true)
	a.conf, a.prev = kept, nil
	a.cycle(t)
}

// refused requires an error with a reason from every verb but DEL, and that nothing is changed.
func refused(t *testing.T, a *called, parts ...string) {
	t.Helper()
	for _, verb := range []string{"ADD", "CHECK", "STATUS", "GC"} {
		e := a.run(t, verb).Error(t)
		expect.Equal(t, verb+": code", e.Code, 7)
		expect.Contains(t, e.Msg, parts...)
		expect.Equal(t, verb+": has a remedy", e.Details != "", true)
	}
	a.run(t, "DEL").OK(t)
	a.h.NoLeaks(t)
	var err error
	a.h.Do(func() { _, err = os.Stat("/run/patchbay") })
	expect.Equal(t, "no state directory was made", os.IsNotExist(err), true)
}

func copyAsBridge(t *testing.T) {
	h, dir := nettest.Host(t), t.TempDir()
	mainPlugin(t, &called{h: h, c: h.Container("c"), conf: routed(cni.Conf{"type": "bridge"}), path: dir, program: copied(t, dir, "bridge")})
}

func linkAsBridge(t *testing.T) {
	h, dir := nettest.Host(t), pluginDir(t)
	linked(t, dir, "bridge")
	mainPlugin(t, &called{h: h, c: h.Container("c"), conf: routed(cni.Conf{"type": "bridge"}), path: dir})
}

func anotherNameAsMain(t *testing.T) {
	h, dir := nettest.Host(t), t.TempDir()
	mainPlugin(t, &called{h: h, c: h.Container("c"), conf: routed(), path: dir, program: linked(t, dir, "patchbay-v2")})
}

func nobodyToDelegate(t *testing.T) {
	h := nettest.Host(t)
	a := &called{h: h, c: h.Container("c"), conf: routed(cni.Conf{"type": "bridge"}), path: pluginDir(t)}
	refused(t, a, "program patchbay is neither the main plugin nor the IPAM plugin", `type is "bridge", which CNI_PATH`)
}

func anotherNameOfNeither(t *testing.T) {
	h, dir := nettest.Host(t), t.TempDir()
	for name, program := range map[string]string{"bridge": "bridge", "patchbay": "portmap"} {
		expect.Equal(t, "link", os.Symlink(nettest.Program(t, program), filepath.Join(dir, name)), error(nil))
	}
	a := &called{h: h, c: h.Container("c"), conf: routed(cni.Conf{"type": "bridge"}), path: dir, program: linked(t, t.TempDir(), "patchbay-v2")}
	refused(t, a, "program patchbay-v2 is neither", `type is "bridge", ipam.type is "patchbay"`)
}

func referenceDelegates(t *testing.T) {
	h := nettest.Host(t)
	a := &called{h: h, c: h.Container("c"), conf: routed(cni.Conf{"type": "bridge"}), path: pluginDir(t, "bridge"), program: nettest.Program(t, "bridge")}
	a.run(t, "STATUS").OK(t)
	r := a.add(t)
	expect.Equal(t, "addresses", addressesOf(r), []string{"10.1.0.2/24", "fd00:1::2/64"})
	expect.Equal(t, "interfaces", namesOf(r), []string{"cni0", "veth", "eth0@"})
	expect.Equal(t, "records", recordsOf(h), 1)
	a.run(t, "CHECK").OK(t)
	a.run(t, "DEL").OK(t)
	h.NoLeaks(t)
}

func copyAsIPAM(t *testing.T) {
	h, dir := nettest.Host(t), pluginDir(t)
	copied(t, dir, "pool")
	conf := routed(cni.Conf{"ipam": cni.Conf{"type": "pool", "subnet": "10.1.0.0/24"}})
	a := &called{h: h, c: h.Container("c"), conf: conf, path: dir}
	expect.Equal(t, "addresses", addressesOf(a.cycle(t)), []string{"10.1.0.2/24"})
}

func hostLocalWithoutIPAM(t *testing.T) {
	h, dir := nettest.Host(t), pluginDir(t)
	conf := cni.Conf{"cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "cni0"}
	refused(t, &called{h: h, c: h.Container("c"), conf: conf, path: dir, program: linked(t, dir, "host-local")}, "ipam.type")
}

// wholeList passes a file of /etc/cni/net.d on standard input.
func wholeList(t *testing.T) {
	h := nettest.Host(t)
	a := &called{h: h, c: h.Container("web"), path: pluginDir(t), conf: cni.Conf{
		"cniVersion": "1.1.0", "name": "net", "plugins": []cni.Conf{routed(), {"type": "portmap"}}, "cni.dev/valid-attachments": []cni.Conf{},
	}}
	refused(t, a, "this is a network configuration list")
	e := a.run(t, "ADD").Error(t)
	expect.Equal(t, "details", e.Details, "pass one object of its plugins, with name and cniVersion of the list")
	a.conf = routed()
	a.add(t)
	whole := a.conf
	a.conf = cni.Conf{"cniVersion": "1.1.0", "name": "net", "plugins": []cni.Conf{whole}}
	a.run(t, "DEL").OK(t)
	h.NoLeaks(t)
}
