package names

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestLoopback: the program as loopback prints what the reference prints, and lo is up. For versions before 1.0.0 the reference prints
// the form of 1.0.0, and this program that of the version. CHECK sees it down; DEL succeeds twice and without
// the namespace.
//
// Claim: As loopback the program sets lo up, with the result of the reference, and its DEL needs no namespace
func TestLoopback(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1.0.0", "1.1.0"} {
		ours, theirs := newList(t, nil, cni.Conf{"type": "loopback"}), newList(t, []string{"loopback"}, cni.Conf{"type": "loopback"})
		for _, l := range []*list{ours, theirs} {
			l.version = version
			l.add(t)
		}
		got := strings.ReplaceAll(string(ours.result), ours.c.Path(), "NETNS")
		want := strings.ReplaceAll(string(theirs.result), theirs.c.Path(), "NETNS")
		expect.Equal(t, version, decoded(t, []byte(got)), decoded(t, []byte(want)))
		if !strings.Contains(ours.c.Run(t, "ip", "link", "show", "lo"), "LOOPBACK,UP") {
			t.Errorf("%s: lo is down", version)
		}
	}
	l := newList(t, nil, cni.Conf{"type": "loopback"})
	l.add(t)
	l.check(t)
	l.c.Run(t, "ip", "link", "set", "lo", "down")
	if e := l.call(t, "CHECK", l.plugins[0], l.result).Error(t); e.Code != 106 {
		t.Errorf("CHECK with lo down: %+v", e)
	}
	l.del(t)
	l.del(t)
	for _, verb := range []string{"STATUS", "GC"} {
		l.call(t, verb, l.plugins[0].With(cni.Conf{"cni.dev/valid-attachments": []string{}}), nil).OK(t)
	}
	l.c.Delete()
	l.del(t)
}

// TestLoopbackRefuses: no namespace, the host's, and an address that is none of lo.
//
// Claim: As loopback the program sets lo up, with the result of the reference, and its DEL needs no namespace
func TestLoopbackRefuses(t *testing.T) {
	t.Parallel()
	l := newList(t, nil, cni.Conf{"type": "loopback"})
	l.h.NoOracle("the test adds an address to lo")
	l.c.Run(t, "ip", "address", "add", "192.0.2.1/32", "dev", "lo")
	if e := l.call(t, "ADD", l.plugins[0], nil).Error(t); e.Code != 7 || !strings.Contains(e.Msg, "192.0.2.1/32") {
		t.Errorf("an address of another network on lo: %+v", e)
	}
	call := l.callOf(t, "ADD", l.plugins[0], nil)
	for netns, code := range map[string]uint{"/run/netns/none": 4, "/etc/hostname": 4, "/proc/self/ns/net": 8} {
		call.Netns = netns
		if e := l.h.CNI(t, call).Error(t); e.Code != code {
			t.Errorf("%s: %+v", netns, e)
		}
	}
}

// TestLoopbackPassesOn: a result of an earlier plugin is passed on with what this version does not know.
//
// Claim: A chained plugin passes prevResult on, with members that it does not know
func TestLoopbackPassesOn(t *testing.T) {
	t.Parallel()
	l := newList(t, nil, cni.Conf{"type": "loopback"})
	prev := `{"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "sandbox": "x", "later": {"a": 1}}], "future": [1, 2]}`
	got := l.call(t, "ADD", l.plugins[0], []byte(prev)).OK(t)
	expect.Equal(t, "result", decoded(t, got.Stdout), decoded(t, []byte(prev)))
}

// TestAbout: the lines without CNI_COMMAND, as callers parse them, and help for a person.
//
// Claim: Without CNI_COMMAND the program prints the name of the plugin and a version that Nomad and nerdctl parse
func TestAbout(t *testing.T) {
	t.Parallel()
	dir := path(t)
	h := nettest.Host(t)
	for _, name := range []string{"bridge", "firewall", "buildkit-cni-host-local"} {
		plugin := strings.TrimPrefix(name, "buildkit-cni-")
		text, err := h.Command(dir + "/" + name).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(text), "CNI "+plugin+" plugin v1.9.1+patchbay.") || !strings.Contains(string(text), "CNI protocol versions supported: 0.1.0, ") {
			t.Errorf("%s: %v: %s", name, err, text)
		}
		for args, want := range map[string]string{"--help": "installed as the CNI plugin " + name, "--version": "CNI " + plugin + " plugin v1.9.1"} {
			text, err := h.Command(dir+"/"+name, args).CombinedOutput()
			if err != nil || !strings.Contains(string(text), want) {
				t.Errorf("%s %s: %v: %s", name, args, err, text)
			}
		}
	}
}
