package lists

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/conflist"
	"github.com/patchbay-cni/patchbay/test/kit/dropin"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

// TestLists runs every list with the drop-in: ADD, CHECK where its version has it, a ping to the outside and a published
// port, DEL. uninstall then gives the directory of plugins back.
//
// Claim: Network configurations of containerd, CRI-O, Podman, nerdctl, Nomad, flannel, minikube, BuildKit and others work unmodified with
// `patchbay install --drop-in`, and `uninstall` gives the directory back byte for byte
func TestLists(t *testing.T) {
	bin := dropin.New(t, "dnsname", "tc-redirect-tap")
	for _, l := range lists() {
		t.Run(strings.TrimSuffix(l.file, filepath.Ext(l.file)), func(t *testing.T) {
			t.Parallel()
			l.run(t, bin)
		})
	}
}

// port is the published port of a container.
func port() conflist.Port {
	return conflist.Port{HostPort: 8080, ContainerPort: 80, Protocol: "tcp"}
}

// run runs one list on a host of its own.
func (l list) run(t *testing.T, bin string) {
	c := l.read(t)
	h := nettest.Host(t)
	s := &scene{list: l, conf: c, Runtime: conflist.In(h, bin), lan: h.LAN(t), ports: c.ports()}
	if l.refuse != "" && !hasVLANs(h) {
		_, err := s.TryAdd(c.NetworkConfigList, h.Container("web"))
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), l.refuse) {
			t.Errorf("ADD on a kernel that cannot: %v", err)
		}
		return
	}
	web, other := h.Container("web"), h.Container("other")
	result := s.Add(t, c.NetworkConfigList, web, s.ports...)
	neighbour := s.Add(t, c.NetworkConfigList, other)
	if c.checks(t) {
		if err := s.Check(c.NetworkConfigList, web, s.ports...); err != nil {
			t.Errorf("CHECK: %v", err)
		}
	}
	if len(result.IPs) > 0 {
		s.traffic(t, web, result, cni.Addresses(neighbour))
	} else {
		s.layer2(t, web, other)
	}
	s.Del(t, c.NetworkConfigList, web, s.ports...)
	s.Del(t, c.NetworkConfigList, other)
	s.Del(t, c.NetworkConfigList, web, s.ports...)
	if slices.Contains(c.types(), "loopback") { // DEL has set lo down
		web.Delete()
		other.Delete()
	}
}

// hasVLANs reports whether the kernel of a host has bridges with VLAN filtering.
func hasVLANs(h *nettest.Node) bool {
	cmd := h.Command("ip", "link", "add", "vlans", "type", "bridge", "vlan_filtering", "1")
	err := cmd.Run()
	if err == nil {
		_ = h.Command("ip", "link", "del", "vlans").Run()
	}
	return err == nil
}

// scene is a host on which a list is run.
type scene struct {
	list
	*conf
	*conflist.Runtime
	lan   *nettest.LAN
	ports []conflist.Port
}

// traffic requires that a container reaches the host, its neighbour, and the outside if the list masquerades, and that the outside
// reaches its published port.
func (s *scene) traffic(t *testing.T, web *nettest.Container, result *types100.Result, neighbour []netip.Addr) {
	t.Helper()
	for i, ip := range result.IPs {
		gateway, ok := netip.AddrFromSlice(ip.Gateway)
		if !ok {
			t.Errorf("no gateway for %s", ip.Address.IP)
			continue
		}
		outside := map[bool]string{true: nettest.LANOutside4, false: nettest.LANOutside6}[gateway.Unmap().Is4()]
		for what, to := range map[string]netip.Addr{"gateway": gateway.Unmap(), "neighbour": neighbour[i], "outside": netip.MustParseAddr(outside)} {
			if what == "outside" && !s.bridge().IPMasq {
				continue
			}
			if err := web.PingOnce(to); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if len(s.ports) == 0 {
		return
	}
	serve.TCP(t, web.Netns, ":80", nil)
	if err := serve.Connect(s.lan.Outside, netip.MustParseAddrPort(nettest.LANHost4+":8080"), 5*time.Second); err != nil {
		t.Errorf("published port, from the outside: %v", err)
	}
}

// layer2 requires that two containers without addresses of IPAM reach each other.
func (s *scene) layer2(t *testing.T, web, other *nettest.Container) {
	t.Helper()
	web.AddAddress("eth0", "10.99.0.1/24")
	other.AddAddress("eth0", "10.99.0.2/24")
	if err := web.PingOnce(netip.MustParseAddr("10.99.0.2")); err != nil {
		t.Error(err)
	}
}

// conf is a configuration as libcni reads it.
type conf struct {
	*libcni.NetworkConfigList
	plugins []plugin
}

// plugin is what the test needs to know of a plugin.
type plugin struct {
	Type         string
	IPMasq       bool
	Capabilities map[string]bool
}

// read reads the file of a list; a file of one plugin becomes a list of one.
func (l list) read(t testing.TB) *conf {
	t.Helper()
	path := filepath.Join("testdata", l.file)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(path) == ".conf" {
		text = listOf(t, text)
	}
	c := &conf{}
	if c.NetworkConfigList, err = libcni.NetworkConfFromBytes(text); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, p := range c.Plugins {
		var one plugin
		if err := json.Unmarshal(p.Bytes, &one); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		c.plugins = append(c.plugins, one)
	}
	return c
}

// listOf returns the list that runtimes make of the configuration of one plugin.
func listOf(t testing.TB, one []byte) []byte {
	t.Helper()
	var keys struct{ CNIVersion, Name string }
	if err := json.Unmarshal(one, &keys); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"cniVersion": keys.CNIVersion, "name": keys.Name, "plugins": []json.RawMessage{one}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// bridge returns the plugin that creates the interface.
func (c *conf) bridge() plugin {
	return c.plugins[slices.IndexFunc(c.plugins, func(p plugin) bool { return p.Type == "bridge" })]
}

// types returns the types of the plugins, in their order.
func (c *conf) types() (types []string) {
	for _, p := range c.plugins {
		types = append(types, p.Type)
	}
	return types
}

// ports returns the port that a runtime passes, if a plugin takes any.
func (c *conf) ports() []conflist.Port {
	if slices.ContainsFunc(c.plugins, func(p plugin) bool { return p.Capabilities["portMappings"] }) {
		return []conflist.Port{port()}
	}
	return nil
}

// checks reports whether the version of a list has CHECK.
func (c *conf) checks(t testing.TB) bool {
	t.Helper()
	var major, minor int
	if _, err := fmt.Sscanf(c.CNIVersion, "%d.%d", &major, &minor); err != nil {
		t.Fatalf("cniVersion %q: %v", c.CNIVersion, err)
	}
	return major > 0 || minor >= 4
}
