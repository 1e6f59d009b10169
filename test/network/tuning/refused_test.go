package tuning

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestSysctlFails: the ADD fails by the name of the sysctl, and container and host are as before, also the sysctls that were written
// before the one that failed.
//
// Claim: A sysctl that the kernel refuses fails the ADD by name, and the sysctls that were set before it have their values back
func TestSysctlFails(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	was, bridged := c.Sysctl("net/core/somaxconn"), cni.Gateway()
	attach(t, h, h.Container("other"), network(bridged)) // makes the bridge, which a failed ADD leaves
	h.Baseline()
	for _, tt := range []struct {
		name, value string
		code        uint
		says        string
	}{
		{"net.nosuch.thing", "1", codeConfig, "read net.nosuch.thing of the container: no such file or directory"},
		{"net.ipv4.conf.IFNAME.nosuch", "1", codeConfig, "read net.ipv4.conf.eth0.nosuch of the container: no such file or directory"},
		{"net.ipv4.conf.eth7.arp_filter", "1", codeConfig, "read net.ipv4.conf.eth7.arp_filter of the container: no such file or directory"},
		{"net.ipv4.conf", "1", codeConfig, "read net.ipv4.conf of the container: is a directory"},
		{"net.ipv4.conf.IFNAME.arp_filter", "often", codeConfig, `set net.ipv4.conf.eth0.arp_filter of the container to "often": invalid argument`},
		{"net.ipv4.ip_default_ttl", "900", codeConfig, `set net.ipv4.ip_default_ttl of the container to "900": invalid argument`},
		{"net.core.netdev_budget", "1", codeConfig, "read net.core.netdev_budget of the container: no such file or directory"}, // of the whole host
		{"net.netfilter.nf_conntrack_buckets", "1024", codeSysctl, `set net.netfilter.nf_conntrack_buckets of the container to "1024": permission denied`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conf := network(bridged, sysctls("net.core.somaxconn", "321", tt.name, tt.value))
			e := h.CNI(t, cni.Call(t, "ADD", c, conf)).Error(t)
			expect.Equal(t, "code", e.Code, tt.code)
			expect.Equal(t, "message", e.Msg, tt.says)
			expect.Equal(t, "somaxconn", c.Sysctl("net/core/somaxconn"), was)
			h.NoLeaks(t)
		})
	}
}

// allowList gives the host a directory /etc of its own, with an allow list that a shell command makes at $LIST.
func allowList(t *testing.T, h *nettest.Node, command string) {
	t.Helper()
	h.Run(t, "sh", "-ec", `mkdir -p /run/etc/upper /run/etc/work && mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work /etc
mkdir -p /etc/cni/tuning; LIST=/etc/cni/tuning/allowlist.conf; umask 022; `+command)
	h.Baseline()
}

// TestAllowList: the file of the reference, its syntax, and what happens if it cannot be trusted: then nothing is allowed.
//
// Claim: The allow list of the reference tuning is applied; one that is unreadable, or that another user may change, allows nothing
func TestAllowList(t *testing.T) {
	t.Parallel()
	const file = "read the allow list of sysctls: /etc/cni/tuning/allowlist.conf: "
	for _, tt := range []struct {
		name, command string
		code          uint
		says          string
	}{
		{"no file", ":", 0, ""},
		{"a pattern of the documentation", `echo '^net.ipv4.conf.IFNAME.[a-z_]*$' >$LIST`, 0, ""},
		{"a link to a file", `echo arp_filter >/etc/list; ln -s /etc/list $LIST`, 0, ""},
		{"an empty file", `: >$LIST`, codeConfig, `sysctl: "net.ipv4.conf.IFNAME.arp_filter" is not allowed by /etc/cni/tuning/allowlist.conf`},
		{"another pattern", `echo '^net.core' >$LIST`, codeConfig, `sysctl: "net.ipv4.conf.IFNAME.arp_filter" is not allowed by /etc/cni/tuning/allowlist.conf`},
		{"the name that IFNAME stands for", `echo '^net.ipv4.conf.eth0' >$LIST`, codeConfig, `sysctl: "net.ipv4.conf.IFNAME.arp_filter" is not allowed by /etc/cni/tuning/allowlist.conf`},
		{"a line that is no pattern", `echo '(' >$LIST`, codeConfig, `sysctl: /etc/cni/tuning/allowlist.conf has the line (: parenthesis or bracket without its counterpart`},
		{"a FIFO", `mkfifo $LIST`, codeIO, file + "not a regular file (FIFO)"},
		{"a device", `ln -s /dev/zero $LIST`, codeIO, file + "not a regular file (character device)"},
		{"a directory", `mkdir $LIST`, codeIO, file + "not a regular file (directory)"},
		{"a link to nothing", `ln -s /nowhere $LIST`, codeIO, "read the allow list of sysctls: open /etc/cni/tuning/allowlist.conf: no such file or directory"},
		{"writable by others", `echo net >$LIST; chmod 0666 $LIST`, codeIO, file + "writable by other users (mode 0666)"},
		{"of another user", `echo net >$LIST; chown 1000 $LIST`, codeIO, file + "owned by another user (uid 1000)"},
		{"too large", `head -c 70000 /dev/zero >$LIST`, codeIO, file + "file too large (more than 65536 bytes)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			allowList(t, h, tt.command)
			conf := network(sysctls("net.ipv4.conf.IFNAME.arp_filter", "1"))
			status := h.CNI(t, nettest.Call{Command: "STATUS", Config: conf.JSON(t)})
			if tt.code == 0 {
				status.OK(t)
				attach(t, h, c, conf).detach(t)
				return
			}
			expect.Contains(t, status.Error(t).Msg, tt.says)
			h.Oracle(nettest.CleanHost)
			e := h.CNI(t, cni.Call(t, "ADD", c, conf)).Error(t)
			expect.Equal(t, "code", e.Code, tt.code)
			expect.Equal(t, "message", e.Msg, tt.says)
			h.NoLeaks(t)
			other := network()
			cni.Add(t, h, c, other) // a network without sysctls does not read it
			cni.Del(t, h, c, other)
			h.Oracle(nettest.Attachment)
		})
	}
}

// TestTapHasNoInterface: settings of the container interface behind a plugin that made only a tap are refused.
func TestTapHasNoInterface(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	h.Run(t, "ip", "tuntap", "add", "tap0", "mode", "tap")
	h.Baseline()
	h.Oracle(nettest.CleanHost)
	prev := cni.Conf{"prevResult": cni.Conf{"cniVersion": "1.1.0", "interfaces": []cni.Conf{{"name": "tap0"}}}}
	e := h.CNI(t, cni.Call(t, "ADD", c, cni.Network(cni.Conf{"txQLen": 5}, prev))).Error(t)
	expect.Equal(t, "message", e.Msg, "sysctl, promisc, allmulti, txQLen: prevResult has no interface eth0 in the container")
	e = h.CNI(t, cni.Call(t, "ADD", c, network(cni.Conf{"sbr": true}, prev))).Error(t)
	expect.Equal(t, "message", e.Msg, "sbr: prevResult has no interface eth0 in the container")
}
