package versions

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/dropin"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestDropInDuringUpgrade: an upgrade replaces the names of a drop-in one after the other, so that for a moment bridge and host-local are two
// versions. bridge must know the other one as itself: if it called host-local, that would wait for the record's lock, which bridge holds, until the
// verb fails.
//
// Claim: While an upgrade of a drop-in has replaced some names and not others, ADD, CHECK, GC and DEL work, with and without a record
func TestDropInDuringUpgrade(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, bridge, hostLocal string }{
		{"host-local is newer", nettest.Patchbay(t), nettest.Program(t, "patchbay-next")},
		{"bridge is newer", nettest.Program(t, "patchbay-next"), nettest.Patchbay(t)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h, dir := nettest.Host(t), t.TempDir()
			dropin.CopyProgram(t, tc.bridge, filepath.Join(dir, "bridge"))
			dropin.CopyProgram(t, tc.hostLocal, filepath.Join(dir, "host-local"))
			conf := cni.Network(cni.DefaultGateway(), cni.Conf{"type": "bridge", "ipam": cni.Conf{"type": "host-local", "ranges": cni.Ranges("10.1.0.0/24")}})
			c := h.Container("c")
			call := func(verb string, conf cni.Conf) nettest.Answer {
				one := cni.Call(t, verb, c, conf)
				one.Plugin, one.Path = filepath.Join(dir, "bridge"), dir
				if verb == "GC" {
					one.ContainerID, one.Netns, one.IfName = "", "", ""
				}
				return h.CNI(t, one)
			}
			for _, record := range []bool{true, false} {
				added := call("ADD", conf).OK(t)
				expect.Equal(t, "addresses", len(added.Result(t).IPs), 1)
				call("CHECK", conf.With(cni.Prev(added.Stdout))).OK(t)
				valid := []cni.Conf{{"containerID": c.ID(), "ifname": "eth0"}}
				call("GC", conf.With(cni.Conf{"cni.dev/valid-attachments": valid})).OK(t)
				if !record {
					h.Run(t, "rm", fmt.Sprintf("/run/patchbay/net/%s@eth0.json", c.ID()))
				}
				call("DEL", conf.With(cni.Prev(added.Stdout))).OK(t)
				call("DEL", conf).OK(t)
				h.NoLeaks(t)
			}
		})
	}
}
