package containerd

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/dropin"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

// TestNerdctl: nerdctl with the networks that it writes itself, unmodified, and the drop-in. Published ports are reached from the outside, also those
// of a container on two networks; containers of different networks do not reach each other, and on a network with enable_icc=false
// neither do its own. When containers and networks have been removed nothing is left.
//
// Claim: nerdctl's `run -p`, `run --network`, `network create` and `rm` work with the drop-in and the lists that nerdctl writes, and its networks are isolated
// from each other
func TestNerdctl(t *testing.T) {
	n := nodeWith(t, current(t), dropin.New(t), installed(t))
	lan := n.LAN(t)
	n.run("ctr", "-n", "default", "images", "import", filepath.Join(n.dir, "image.tar"))
	n.nerdctl("network", "create", "--subnet", "10.99.1.0/24", "blue")
	n.nerdctl("network", "create", "--subnet", "10.99.2.0/24", "--opt", "com.docker.network.bridge.enable_icc=false", "apart")
	expect.Equal(t, "plugins of blue", n.plugins("blue"), []string{"1.0.0", "bridge", "portmap", "firewall same-bridge", "tuning"})
	expect.Equal(t, "plugins of apart", n.plugins("apart"), []string{"1.0.0", "bridge", "portmap", "firewall isolated", "tuning"})

	n.container("web", "--publish", "8080:80")
	n.container("near")
	n.container("far", "--network", "blue")
	n.container("both", "--network", "bridge", "--network", "blue", "--publish", "8081:80")
	n.container("one", "--network", "apart")
	n.container("other", "--network", "apart")
	for _, port := range []string{":8080", ":8081"} {
		if err := serve.Connect(lan.Outside, netip.MustParseAddrPort(nettest.LANHost4+port), 5*time.Second); err != nil {
			t.Errorf("published port %s, from the outside: %v", port, err)
		}
	}
	const all, none = "2 received", "0 received"
	for _, c := range []struct{ from, to, want string }{
		{"near", "web", all}, {"both", "web", all}, {"both", "far", all}, {"far", "web", none}, {"one", "other", none}, {"one", "far", none},
	} {
		expect.Equal(t, c.to+" from "+c.from, n.replies(c.from, c.to), c.want)
	}
	said, _ := n.tryNerdctl(n.running("second", "--publish", "8080:80")...)
	expect.Contains(t, said, "bind for :8080 failed: port is already allocated") // nerdctl's own check, before it calls a plugin
	n.nerdctl("rm", "--force", "web", "near", "far", "both", "one", "other", "second")
	n.nerdctl("network", "rm", "blue", "apart")
	n.alone()
	n.NoLeaks(t)
}

// tryNerdctl runs nerdctl, and returns what it wrote to both outputs.
func (n *node) tryNerdctl(args ...string) (string, error) {
	out, err := n.command(append([]string{nettest.Program(n.t, "../pkg/nerdctl/nerdctl")}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (n *node) nerdctl(args ...string) string {
	n.t.Helper()
	out, err := n.tryNerdctl(args...)
	if err != nil {
		n.t.Fatalf("nerdctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// running returns the arguments that start a web server, detached.
func (n *node) running(name string, options ...string) []string {
	all := append([]string{"run", "--detach", "--pull", "never", "--cgroup-parent", n.cgroups, "--name", name, "--hostname", name}, options...)
	return append(all, webImage)
}

// container starts a web server.
func (n *node) container(name string, options ...string) {
	n.t.Helper()
	n.nerdctl(n.running(name, options...)...)
}

// replies returns how many of two pings from a container's network namespace another container replies to, at the first of its addresses: "2 received".
func (n *node) replies(from, to string) string {
	n.t.Helper()
	addr := strings.Fields(n.nerdctl("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", to))
	if len(addr) == 0 {
		n.t.Fatalf("%s has no address", to)
	}
	netns := "--net=/proc/" + n.nerdctl("inspect", "--format", "{{.State.Pid}}", from) + "/ns/net"
	out, _ := n.command("nsenter", netns, "ping", "-c", "2", "-i", "0.2", "-W", "2", addr[0]).CombinedOutput() // fails without a reply
	for part := range strings.SplitSeq(string(out), ", ") {
		if strings.HasSuffix(part, " received") {
			return part
		}
	}
	return string(out)
}

// plugins returns the version and the plugins in the file that nerdctl wrote for a network.
func (n *node) plugins(network string) []string {
	n.t.Helper()
	var list struct {
		CNIVersion string
		Plugins    []struct{ Type, IngressPolicy string }
	}
	if err := json.Unmarshal([]byte(n.run("cat", "/etc/cni/net.d/default/nerdctl-"+network+".conflist")), &list); err != nil {
		n.t.Fatal(err)
	}
	out := []string{list.CNIVersion}
	for _, p := range list.Plugins {
		out = append(out, strings.TrimSpace(p.Type+" "+p.IngressPolicy))
	}
	return out
}
