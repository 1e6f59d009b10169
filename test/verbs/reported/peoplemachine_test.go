package reported

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// machines returns the rows of case 19. Each runs TestOnThisMachine again, on a machine with another configuration.
func machines() []row {
	const kind = "tests pass whatever the machine's configuration is"
	const foreign = `{"cniVersion": "1.0.0", "name": "foreign", "plugins": [{"type": "patchbay", "bridge": "foreign0"}]}`
	on := func(script string) func(t *testing.T) {
		return func(t *testing.T) {
			nettest.Root(t)
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			layers, err := os.MkdirTemp("", "machine") // t.TempDir has commas of the row's name, which separate options of overlay
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(layers) })
			cmd := exec.Command("unshare", "--mount", "--net", "sh", "-ec", `
				for dir in etc opt; do
					mkdir -p $0/$dir.up $0/$dir.work
					mount -t overlay overlay -o lowerdir=/$dir,upperdir=$0/$dir.up,workdir=$0/$dir.work /$dir
				done
				`+script+`
				exec "$@"`, layers, self, "-test.run=^TestOnThisMachine$", "-test.v")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: TestOnThisMachine") {
				t.Errorf("%v\n%s", err, out)
			}
		}
	}
	return []row{
		{"19", "/etc/cni/net.d is a directory, with a network of another program", kind, on("rm -rf /etc/cni; mkdir -p /etc/cni/net.d; echo '" + foreign + "' >/etc/cni/net.d/10-foreign.conflist")},
		{"19.1", "/etc/cni/net.d is a link", kind, on("rm -rf /etc/cni; mkdir -p /etc/cni /opt/net.d; ln -s /opt/net.d /etc/cni/net.d; echo '" + foreign + "' >/opt/net.d/10-foreign.conflist")},
		{"19.2", "/etc/cni/net.d is empty", kind, on("rm -rf /etc/cni; mkdir -p /etc/cni/net.d")},
		{"19.3", "/etc/cni is a link", kind, on("rm -rf /etc/cni; mkdir -p /opt/cni.conf/net.d; ln -s /opt/cni.conf /etc/cni; echo '" + foreign + "' >/opt/cni.conf/net.d/10-foreign.conflist")},
		{"19.4", "IPv6 is off by sysctl", kind, on("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")},
		{"19.5", "the name servers are those of a stub, and of a namespace web", kind, on("rm -rf /etc/resolv.conf /etc/netns; echo nameserver 127.0.0.53 >/etc/resolv.conf; mkdir -p /etc/netns/web; echo nameserver 127.0.0.1 >/etc/netns/web/resolv.conf")},
		{"19.6", "there is no /etc/cni", kind, on("rm -rf /etc/cni")},
	}
}

// TestOnThisMachine: a host of a test has no networks and name servers of the machine, and has IPv6.
//
// Claim: A test host sees nothing of the machine: no networks, name servers or disabled IPv6
func TestOnThisMachine(t *testing.T) {
	h := nettest.Host(t)
	p := &person{h, t, "/etc/cni/net.d"}
	p.fails([]string{`no network "foreign"`}, "ls", "--network", "foreign")
	p.ok("up", "web")
	expect.Equal(t, "files of the namespace web", p.sh("ls /etc/netns/web"), "hosts\n")
	p.ok("doctor")
	p.ok("down", "web")
	c := h.Container("six")
	call := nettest.Call{
		Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0",
		Config: []byte(`{"cniVersion": "1.1.0", "name": "six", "type": "patchbay", "bridge": "six0", "isGateway": true, "ipam": {"type": "patchbay", "ranges": [[{"subnet": "2001:db8:6::/64"}]]}}`),
	}
	h.CNI(t, call).OK(t)
	c.Run(t, "ping", "-n", "-c", "1", "-W", "5", "2001:db8:6::1")
	call.Command = "DEL"
	h.CNI(t, call).OK(t)
}
