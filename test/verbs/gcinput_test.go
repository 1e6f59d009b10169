package verbs

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestGCWithInvalidInput: input that does not clearly say which attachments of which network are valid is an error, and
// nothing changes.
//
// Claim: GC accepts every form of its list and both keys; an invalid list is an error and changes nothing; other mistakes in the
// configuration do not stop GC
func TestGCWithInvalidInput(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, everything())
	before := picture(t, h, c)
	plain := string(everything().With(cni.Conf{"cni.dev/valid-attachments": []cni.Conf{}}).JSON(t))
	was := func(old, is string) string { return replaced(t, plain, old, is) }
	list := func(text string) string {
		return was(`"cni.dev/valid-attachments":[]`, `"cni.dev/valid-attachments":`+text)
	}
	for _, tc := range []struct {
		name, config string
		code         uint
		msg          string
	}{
		{"nothing", "", 6, "network configuration is empty"},
		{"not JSON", "garbage", 6, "network configuration is not a JSON object"},
		{"cut off", plain[:len(plain)-9], 6, "network configuration is not a JSON object"},
		{"a list", "[]", 6, "network configuration is not a JSON object: it is of type array"},
		{"null", "null", 6, "network configuration is not a JSON object: it is null"},
		{"an object for the list", list(`{}`), 7, "cni.dev/valid-attachments: want a list of attachments, got {}"},
		{"a string for the list", list(`"all"`), 7, `cni.dev/valid-attachments: want a list of attachments, got "all"`},
		{"false for the list", list(`false`), 7, `cni.dev/valid-attachments: want a list of attachments, got false`},
		{"a list of strings", list(`["c"]`), 7, `cni.dev/valid-attachments: want a list of attachments, got ["c"]`},
		{"a list of null", list(`[null]`), 7, `cni.dev/valid-attachments: want a list of attachments, got [null]`},
		{"a number for an ID", list(`[{"containerID":5,"ifname":"eth0"}]`), 7, "cni.dev/valid-attachments: want a list of attachments"},
		{"a list for an interface name", list(`[{"containerID":"c","ifname":["eth0"]}]`), 7, "cni.dev/valid-attachments: want a list of attachments"},
		{"an empty ID", list(`[{"containerID":"","ifname":"eth0"}]`), 7, "cni.dev/valid-attachments: want a list of attachments"},
		{"an empty interface name", list(`[{"containerID":"c","ifname":""}]`), 7, "cni.dev/valid-attachments: want a list of attachments"},
		{"no interface name", list(`[{"containerID":"c"}]`), 7, "cni.dev/valid-attachments: want a list of attachments"},
		{"the older key", was(`"cni.dev/valid-attachments":[]`, `"cni.dev/attachments":5`), 7, "cni.dev/attachments: want a list of attachments, got 5"},
		{"no network name", was(`"name":"net"`, `"name":""`), 7, "name: missing network name"},
		{"a number for the network name", was(`"name":"net"`, `"name":5`), 7, "name: want a string, got 5"},
		{"a path for the network name", was(`"name":"net"`, `"name":"../net"`), 7, `name: invalid characters in network name "../net"`},
		{"a number for stateDir", was(`"name":"net"`, `"name":"net","stateDir":5`), 7, "stateDir: want a string, got 5"},
		{"a relative stateDir", was(`"name":"net"`, `"name":"net","stateDir":"run"`), 7, `stateDir: "run" is not an absolute path`},
		{"a number for dataDir", was(`"sticky":true`, `"dataDir":5`), 7, "ipam.dataDir: want a string, got 5"},
		{"a relative dataDir", was(`"sticky":true`, `"dataDir":"ipam"`), 7, `ipam.dataDir: "ipam" is not an absolute path`},
		{"a string for ipam", was(`"ipam":{`, `"ipam":"patchbay","old":{`), 7, `ipam: want an object, got "patchbay"`},
		{"a number for the bridge", was(`"bridge":"cni0"`, `"bridge":0`), 7, "bridge: want a string, got 0"},
		{"invalid bridge name", was(`"bridge":"cni0"`, `"bridge":"a/b"`), 7, `bridge: "a/b" cannot name an interface`},
		{"no type", was(`"name":"net","type":"patchbay"`, `"name":"net"`), 7, "type: missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := h.CNI(t, nettest.Call{Command: "GC", Config: []byte(tc.config)}).Error(t)
			expect.Equal(t, "code", e.Code, tc.code)
			expect.Contains(t, e.Msg, tc.msg)
			if e.Details == "" {
				t.Error("no details")
			}
			expect.Equal(t, "picture", picture(t, h, c), before)
		})
	}
	a.check(t)
}

// replaced returns text with the first occurrence of old replaced.
func replaced(t *testing.T, text, old, is string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("%s has no %s", text, old)
	}
	return strings.Replace(text, old, is, 1)
}

// TestGCWithOtherInvalidKeys: other errors in a configuration do not prevent a GC.
//
// Claim: GC accepts every form of its list and both keys; an invalid list is an error and changes nothing; other mistakes in the
// configuration do not stop GC
func TestGCWithOtherInvalidKeys(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 2, everything())
	n := cni.Network(cni.Conf{"mtu": "big", "isGateway": 5, "vlan": 100, "ipam": cni.Conf{"type": "patchbay", "ranges": "none any more"}})
	gc(t, h, n, valid(listed(all[0]))).OK(t)
	collected(t, all[1])
	all[0].check(t)
}

// TestGCWithBothKeys: libcni writes the same list under both keys. If they differ the key of the specification takes
// effect.
//
// Claim: GC accepts every form of its list and both keys; an invalid list is an error and changes nothing; other mistakes in the
// configuration do not stop GC
func TestGCWithBothKeys(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 2, everything())
	gc(t, h, everything(), cni.Conf{"cni.dev/attachments": "garbage", "cni.dev/valid-attachments": listed(all...)}).OK(t)
	for _, a := range all {
		a.check(t)
	}
	gc(t, h, everything(), cni.Conf{"cni.dev/attachments": listed(all...), "cni.dev/valid-attachments": listed(all[0])}).OK(t)
	collected(t, all[1])
	all[0].check(t)
}

// TestGCContinuesAfterErrors: GC reports all errors; the addresses of two stale attachments cannot be released.
//
// Claim: GC continues after errors and reports all of them; killed at any call, or with a fault at one call, the next GC leaves nothing
// behind
func TestGCContinuesAfterErrors(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := cni.Network(cni.Pool("10.1.0.0/24"))
	all, _ := containers(t, h, 3, n)
	dir := addressDir(all[0])
	h.Run(t, "mount", "--bind", dir, dir)
	h.Run(t, "mount", "-o", "remount,bind,ro", dir)
	e := gc(t, h, n, valid(listed(all[0]))).Error(t)
	h.Run(t, "umount", dir)
	expect.Equal(t, "code", e.Code, 5)
	expect.Contains(t, e.Msg, "collect net/"+all[1].id+"/eth0: release address", "; collect net/"+all[2].id+"/eth0: release address", "read-only file system")
	for _, a := range all[1:] {
		expect.Equal(t, "host interface", hasLink(t, h.Netns, hostEnd(t, a.result(t))), false)
		expect.Equal(t, "record", exists(h, recordPath(a)), true)
	}
	gc(t, h, n, valid(listed(all[0]))).OK(t)
	collected(t, all[1:]...)
	all[0].check(t)
}
