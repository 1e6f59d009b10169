package secondary

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// networks returns the networks of the host, by the names that pods select. The VLANs share a subnet, so that only VLANs keep them apart;
// the trunk has no addresses, because the virtual machine behind it has its own.
func networks() map[string]cni.Conf {
	plugin := func(keys ...cni.Conf) cni.Conf { return cni.Conf{"type": "patchbay"}.With(keys...) }
	pool := func(first, last string) cni.Conf {
		return cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.2.0.0/24", "rangeStart": first, "rangeEnd": last}}}})
	}
	data := cni.Conf{"bridge": "data"}
	return map[string]cni.Conf{
		"default":    plugin(cni.Conf{"bridge": "cni0"}, cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.1.0.0/24")),
		"hundred":    plugin(data, cni.Conf{"vlan": 100}, pool("10.2.0.10", "10.2.0.19")),
		"twohundred": plugin(data, cni.Conf{"vlan": 200}, pool("10.2.0.20", "10.2.0.29")),
		"trunk":      plugin(data, cni.Conf{"vlanTrunk": []cni.Conf{{"minID": 200, "maxID": 202}}}),
	}
}

// list returns the list of plugins of a network.
func list(name string) cni.Conf {
	return cni.Conf{"cniVersion": "1.0.0", "name": name, "plugins": []cni.Conf{networks()[name]}}
}

// caller attaches a pod to networks and detaches it: the first is eth0, the others are net1, net2 ...
type caller interface {
	attach(pod *nettest.Container, names []string) error
	detach(pod *nettest.Container, names []string) error
}

// plugins returns a directory with the plugin, and other programs.
func plugins(t testing.TB, more ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range append([]string{nettest.Patchbay(t)}, more...) {
		if err := os.Symlink(path, filepath.Join(dir, filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// interfaceName returns the name of the nth interface of a pod, as Multus names it.
func interfaceName(n int) string {
	if n == 0 {
		return "eth0"
	}
	return fmt.Sprint("net", n)
}

// reaches requires that a ping is answered, or that it is not.
func reaches(t *testing.T, from *nettest.Container, to string, want bool) {
	t.Helper()
	wait := 10 * time.Second
	if !want {
		wait = time.Second
	}
	if r := from.Ping(netip.MustParseAddr(to), nettest.PingOptions{Timeout: wait}); (r.Received > 0) != want {
		t.Errorf("%s pings %s: %s, want replies: %t", from.Name(), to, r, want)
	}
}

// addressOf returns the IPv4 address of an interface.
func addressOf(t *testing.T, pod *nettest.Container, name string) string {
	t.Helper()
	for _, p := range pod.Addresses(name) {
		if p.Addr().Is4() {
			return p.Addr().String()
		}
	}
	t.Fatalf("%s has no IPv4 address on %s", pod.Name(), name)
	return ""
}
