package flannel

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/conflist"
	"github.com/patchbay-cni/patchbay/test/kit/dropin"
)

// Files of flanneld and of the plugin.
const (
	subnetFile = "/run/flannel/subnet.env"
	dataDir    = "/var/lib/cni/flannel"
)

// Pods of the other node.
const (
	remote4 = "10.42.1.7"
	remote6 = "2001:db8:42:1::7"
)

// setup is how a distribution sets a node up.
type setup struct {
	list    string
	links   bool     // the names of the reference plugins are links to one program, as in k3s
	subnets []string // the lines of flanneld's file
	want    []string // addresses of the first two pods
	check   bool     // the version of the list has CHECK
	outside bool     // the bridge masquerades, because flanneld does not
}

// setups returns that of k3s with both families, where flanneld masquerades, and that of flannel's manifest, where it
// does not.
func setups() []setup {
	return []setup{
		{
			list: "k3s", links: true, check: true,
			subnets: []string{
				"FLANNEL_NETWORK=10.42.0.0/16", "FLANNEL_SUBNET=10.42.0.1/24",
				"FLANNEL_IPV6_NETWORK=2001:db8:42::/56", "FLANNEL_IPV6_SUBNET=2001:db8:42::1/64",
				"FLANNEL_MTU=1450", "FLANNEL_IPMASQ=true",
			},
			want: []string{"10.42.0.2 2001:db8:42::2", "10.42.0.3 2001:db8:42::3"},
		},
		{
			list: "kube-flannel", outside: true,
			subnets: []string{"FLANNEL_NETWORK=10.42.0.0/16", "FLANNEL_SUBNET=10.42.0.1/24", "FLANNEL_MTU=1450", "FLANNEL_IPMASQ=false"},
			want:    []string{"10.42.0.2", "10.42.0.3"},
		},
	}
}

// node is a node of a cluster, with the drop-in installed.
type node struct {
	*conflist.Runtime
	t    *testing.T
	list *libcni.NetworkConfigList
}

// newNode returns a node that is set up so.
func newNode(t *testing.T, s setup) *node {
	t.Helper()
	bin := t.TempDir()
	dropin.Copy(t, "flannel", bin, "flannel")
	for _, name := range []string{"bridge", "host-local", "portmap", "bandwidth", "firewall", "loopback"} {
		if !s.links {
			dropin.Copy(t, name, bin, name)
		} else if err := os.Symlink("cni", filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	if s.links {
		dropin.Copy(t, "loopback", bin, "cni") // not one that delegates: before the installation each name leads to it
	}
	dropin.Install(t, bin)
	text, err := os.ReadFile(filepath.Join("testdata", s.list+".conflist"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := libcni.NetworkConfFromBytes(text)
	if err != nil {
		t.Fatal(err)
	}
	h := nettest.Host(t)
	n := &node{conflist.In(h, bin), t, list}
	h.Do(func() { err = errors.Join(os.MkdirAll(filepath.Dir(subnetFile), 0o755), os.MkdirAll(dataDir, 0o700)) })
	if err != nil {
		t.Fatal(err)
	}
	n.joins(strings.Join(s.subnets, "\n"))
	h.Baseline() // with dataDir, which the plugin makes and keeps
	return n
}

// joins writes flanneld's file.
func (n *node) joins(lines string) {
	n.t.Helper()
	var err error
	n.Do(func() { err = os.WriteFile(subnetFile, []byte(lines+"\n"), 0o644) })
	if err != nil {
		n.t.Fatal(err)
	}
}

// cluster adds the LAN of the node, another node on it with a pod, and the routes to that which flanneld adds.
func (n *node) cluster() (*nettest.LAN, *nettest.Netns) {
	n.t.Helper()
	lan := n.LAN(n.t)
	other := lan.Neighbour("node2", "192.0.2.20/24", "2001:db8:0:1::20/64")
	other.AddAddress("lo", remote4+"/32", remote6+"/128")
	other.AddRoute("10.42.0.0/24", nettest.LANHost4)
	other.AddRoute("2001:db8:42::/64", nettest.LANHost6)
	n.AddRoute("10.42.1.0/24", "192.0.2.20")
	n.AddRoute("2001:db8:42:1::/64", "2001:db8:0:1::20")
	n.Baseline()
	return lan, other
}

// files returns the names in the plugin's directory: one for each pod that it has attached.
func (n *node) files() (names []string) {
	n.t.Helper()
	var entries []os.DirEntry
	var err error
	n.Do(func() { entries, err = os.ReadDir(dataDir) })
	if err != nil {
		n.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
