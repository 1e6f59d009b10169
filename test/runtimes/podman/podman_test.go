package podman

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// published is the address at which the LAN reaches host port 8080.
func published() netip.AddrPort { return netip.MustParseAddrPort(nettest.LANHost4 + ":8080") }

// TestDefaultNetwork: a container of the network that Podman's package ships serves at its address and at a published port, reaches the outside,
// and is stopped, started and removed. A second container is refused the same port.
//
// Claim: Podman with its CNI backend, the network of its package and the drop-in runs, publishes, stops, starts and removes containers and
// leaves nothing
func TestDefaultNetwork(t *testing.T) {
	s := newScene(t)
	s.start("web", "--publish", "8080:80")
	for range 2 {
		addr := s.address("web", "podman")
		s.serves(s.Netns, netip.AddrPortFrom(addr, 80), "web")
		s.serves(s.lan.Outside, published(), "web")
		expect.Contains(t, s.podman("port", "web"), "80/tcp -> 0.0.0.0:8080")
		expect.Contains(t, s.refused("second", "--publish", "8080:80"), "host port 8080/tcp is already published")
		s.podman("stop", "--time", "0", "web")
		s.NoLeaks(t)
		s.podman("start", "web")
	}
	s.reaches("podman", nettest.LANOutside4)
	s.reaches("podman", s.address("web", "podman").String())
	s.podman("rm", "--force", "--time", "0", "web")
	s.NoLeaks(t)
}

// reaches requires that a container of a network gets a reply to a ping.
func (s *scene) reaches(network, to string) {
	s.t.Helper()
	out := s.podman(s.common("--rm", "--cap-add", "NET_RAW", "--network", network, webImage, "ping", "-c", "1", "-W", "3", to)...)
	expect.Contains(s.t, out, "1 packets received")
}

// TestCreatedNetworks: Podman writes two networks itself. A container has the address and the MAC that it asks for on one, and is connected to the
// other while it runs, and disconnected. When containers and networks have been removed, their bridges are gone too.
//
// Claim: Podman's `network create`, `connect`, `disconnect` and `rm` work with the drop-in, with the lists that Podman writes
func TestCreatedNetworks(t *testing.T) {
	s := newScene(t)
	s.podman("network", "create", "--subnet", "10.99.1.0/24", "blue")
	s.podman("network", "create", "--subnet", "10.99.2.0/24", "--internal", "red")
	expect.Equal(t, "plugins that Podman wrote", s.types("blue"), []string{"0.4.0", "bridge", "portmap", "firewall", "tuning"})
	s.start("web", "--network", "blue", "--ip", "10.99.1.77", "--mac-address", "02:00:5e:10:00:01", "--publish", "8080:80")
	expect.Equal(t, "address", s.address("web", "blue").String(), "10.99.1.77")
	expect.Contains(t, s.podman("exec", "web", "ip", "link", "show", "eth0"), "02:00:5e:10:00:01")
	s.serves(s.lan.Outside, published(), "web")
	s.podman("network", "connect", "red", "web")
	s.reaches("red", s.address("web", "red").String())
	s.podman("network", "disconnect", "red", "web")
	s.serves(s.lan.Outside, published(), "web")
	s.podman("rm", "--force", "--time", "0", "web")
	s.podman("network", "rm", "blue", "red")
	expect.Equal(t, "bridges", s.bridges(), []string{s.lan.Bridge})
	s.NoLeaks(t)
}

// types returns the version and the types of the plugins in the file of a network.
func (s *scene) types(network string) []string {
	s.t.Helper()
	var list struct {
		CNIVersion string
		Plugins    []struct{ Type string }
	}
	if err := json.Unmarshal([]byte(s.run("cat", "/etc/cni/net.d/"+network+".conflist")), &list); err != nil {
		s.t.Fatal(err)
	}
	out := []string{list.CNIVersion}
	for _, p := range list.Plugins {
		out = append(out, p.Type)
	}
	return out
}

// bridges returns the names of the host's bridges.
func (s *scene) bridges() (names []string) {
	s.t.Helper()
	var links []struct{ IfName string }
	if err := json.Unmarshal([]byte(s.run("ip", "-j", "link", "show", "type", "bridge")), &links); err != nil {
		s.t.Fatal(err)
	}
	for _, l := range links {
		names = append(names, l.IfName)
	}
	return names
}
