package tap

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// network writes the file of a network.
func (h *host) network(t testing.TB, name string, keys map[string]any) {
	t.Helper()
	plugin := map[string]any{"type": "patchbay", "bridge": name + "0", "ipam": map[string]any{"type": "patchbay", "ranges": []any{[]any{map[string]string{"subnet": "10.96.0.0/24"}}}}}
	for key, value := range keys {
		plugin[key] = value
	}
	text, err := json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": name, "plugins": []any{plugin}})
	if err == nil {
		err = os.WriteFile(filepath.Join(h.conf, name+".conflist"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRefused: nothing is changed; the leak oracle of the host sees to that.
//
// Claim: `attach --tap` refuses an owner that does not exist, a name in use, a host without /dev/net/tun, and a process without the
// capabilities, names the remedy, and changes nothing
func TestRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	vm := h.Container("vm")
	vm.Run(t, "ip", "tuntap", "add", "tap7", "mode", "tap")
	tap := func(args ...string) []string { return append([]string{"attach", "vm", "--tap"}, args...) }
	h.refused(t, []string{`no user "no-such-user" in /etc/passwd`, "pass the number"}, tap("--owner", "no-such-user")...)
	h.refused(t, []string{`no group "no-such-group" in /etc/group`}, tap("--owner", "0:no-such-group")...)
	h.refused(t, []string{"no group behind the colon"}, tap("--owner", "0:")...)
	h.refused(t, []string{"means none in the kernel"}, tap("--owner", "4294967295")...)
	h.refused(t, []string{"tap tap7", "name of another interface", "--tap-name"}, tap("--tap-name", "tap7")...)
	h.refused(t, []string{"eth0 is the container interface", "choose another name"}, tap("--tap-name", "eth0")...)
	h.refused(t, []string{"--tap-name", `"a/b" cannot name an interface`}, tap("--tap-name", "a/b")...)
	h.refused(t, []string{`"tap%d" cannot name an interface`}, tap("--tap-name", "tap%d")...)
	for _, option := range [][]string{{"--owner", "0"}, {"--tap-name", "tap1"}, {"--multi-queue"}} {
		h.refused(t, []string{option[0] + " is about a tap", "pass --tap too"}, append([]string{"attach", "vm"}, option...)...)
	}
	h.withoutPrivilege(t)
	h.withoutTun(t)
	if links := vm.Run(t, "ip", "-br", "link"); strings.Count(links, "\n") != 2 {
		t.Errorf("the namespace has been changed: %s", links)
	}
	vm.Run(t, "ip", "link", "del", "tap7")
}

func (h *host) withoutPrivilege(t *testing.T) {
	t.Helper()
	cmd := h.Command(nettest.Patchbay(t), "attach", "vm", "--tap")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner, Gid: owner}}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "attach needs CAP_NET_ADMIN and CAP_SYS_ADMIN") {
		t.Errorf("as another user: %v, %s", err, out)
	}
}

// withoutTun covers the directory of the device.
func (h *host) withoutTun(t *testing.T) {
	t.Helper()
	h.Run(t, "mount", "-t", "tmpfs", "none", "/dev/net")
	defer h.Run(t, "umount", "/dev/net")
	h.refused(t, []string{"/dev/net/tun", "no tap devices", "modprobe tun", "leave --tap out"}, "attach", "vm", "--tap")
	h.refused(t, []string{"modprobe tun"}, "attach", "vm", "--tap", "--dry-run")
}

// TestCombinations: keys that would have no effect on a guest are errors.
func TestCombinations(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := h.Container("vm")
	for name, one := range map[string]struct {
		keys  cni.Conf
		parts []string
	}{
		"sbr":                {cni.Conf{"sbr": true}, []string{"sbr: has no use together with tap"}},
		"enabledad":          {cni.Conf{"enabledad": true}, []string{"enabledad: has no use together with tap"}},
		"dhcp":               {cni.Conf{"ipam": cni.Conf{"type": "dhcp"}}, []string{"ipam.type: has no use together with tap"}},
		"member":             {cni.Conf{"tap": cni.Conf{"user": 1}}, []string{`tap: "user" is not known`}},
		"owner":              {cni.Conf{"tap": cni.Conf{"owner": -1}}, []string{"tap.owner: -1 is out of range"}},
		"owner of the world": {cni.Conf{"tap": cni.Conf{"owner": 4294967295}}, []string{"tap.owner: 4294967295 is out of range"}},
		"name":               {cni.Conf{"tap": cni.Conf{"name": "eth0"}}, []string{"tap.name: eth0 is the container interface"}},
		"no object":          {cni.Conf{"tap": true}, []string{"tap: want an object"}},
	} {
		t.Run(name, func(t *testing.T) {
			conf := cni.Network(cni.Pool("10.96.0.0/24"), cni.Conf{"tap": cni.Conf{}}, one.keys)
			e := h.CNI(t, cni.Call(t, "ADD", c, conf)).Error(t)
			expect.Contains(t, e.Msg, one.parts...)
		})
	}
}
