package nomad

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocni "github.com/containerd/go-cni"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/dropin"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
	"github.com/patchbay-cni/patchbay/test/runtimes/inside"
)

// node is a host with a client of Nomad.
type node struct {
	*nettest.Node
	t      *testing.T
	run    *inside.Program
	client client
	was    map[string]string // attributes
}

// newNode returns a node with one of the lists, and the drop-in installed.
func newNode(t *testing.T, h *nettest.Node, list string, subnets ...string) *node {
	t.Helper()
	bin := dropin.New(t)
	text, err := os.ReadFile(filepath.Join("..", "lists", "testdata", list))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Node: h, t: t, client: client{Bin: bin, List: string(text), Subnets: subnets}}
	n.start()
	h.Baseline() // with NOMAD-ADMIN, which Nomad keeps
	return n
}

// single returns a host with the address that ports are published on, and no network behind it.
func single(t *testing.T) *nettest.Node {
	t.Helper()
	h := nettest.Host(t)
	h.Bridge("br0", nettest.LANHost4+"/24")
	return h
}

// start starts the client, which is also how a restarted one begins.
func (n *node) start() {
	n.t.Helper()
	n.run = inside.Start(n.t, n.Node)
	if err := n.run.Ask(n.t, "start", n.client, &n.was); err != nil {
		n.t.Fatalf("start: %v", err)
	}
}

// allocate returns an allocation in a new namespace. Its port is of the host's address, and Nomad maps both protocols.
func (n *node) allocate(name string, port int32) (allocation, *nettest.Container) {
	n.t.Helper()
	c := n.Container(name)
	hash := sha256.Sum256([]byte(c.ID()))
	a := allocation{ID: fmt.Sprintf("%x-%x-%x-%x-%x", hash[:4], hash[4:6], hash[6:8], hash[8:10], hash[10:16]), Path: c.Path(), Created: true}
	for _, protocol := range []string{"tcp", "udp"} {
		a.Ports = append(a.Ports, gocni.PortMapping{HostPort: port, ContainerPort: 80, Protocol: protocol, HostIP: nettest.LANHost4})
	}
	return a, c
}

func (n *node) setup(a allocation) status {
	n.t.Helper()
	var s status
	if err := n.run.Ask(n.t, "setup", a, &s); err != nil {
		n.t.Fatalf("setup: %v", err)
	}
	return s
}

func (n *node) teardown(a allocation) {
	n.t.Helper()
	if err := n.run.Ask(n.t, "teardown", a, nil); err != nil {
		n.t.Errorf("teardown: %v", err)
	}
}

// restored calls what a restarted client calls for an allocation that it finds.
func (n *node) restored(a allocation) error {
	n.t.Helper()
	a.Created = false
	return n.run.Ask(n.t, "setup", a, nil)
}

// both are the lists: that of earlier versions, and that of Nomad 2.0 with both families and dataDir.
var both = []struct {
	list    string
	subnets []string
	want    []status
}{
	{"nomad.conflist", []string{"172.26.64.0/20"}, []status{{"eth0", "172.26.64.2", ""}, {"eth0", "172.26.64.3", ""}}},
	{
		"nomad-ipv6.conflist",
		[]string{"172.26.64.0/20", "fd00:a110:c8::/120"},
		[]status{{"eth0", "172.26.64.2", "fd00:a110:c8::2"}, {"eth0", "172.26.64.3", "fd00:a110:c8::3"}},
	},
}

// TestFingerprint: Nomad's scheduler places a group with bridge networking on nodes where four plugins have version
// 0.4.0 or later, and its client calls CHECK for bridge 1.3.0 or later.
//
// Claim: Nomad's fingerprint finds the version of each plugin of its list, and its ranges contain them
func TestFingerprint(t *testing.T) {
	t.Parallel()
	n := newNode(t, single(t), both[0].list, both[0].subnets...)
	for _, name := range []string{"bridge", "firewall", "host-local", "loopback", "portmap"} {
		got := n.was["plugins.cni.version."+name]
		if !strings.HasPrefix(got, "v1.9.1+patchbay.") || !satisfies(got, ">= 0.4.0") || !satisfies(got, ">= 1.3.0") {
			t.Errorf("version of %s: %q", name, got)
		}
	}
	if _, found := n.was["plugins.cni.version..patchbay"]; found {
		t.Errorf("the directory of the originals is a plugin: %v", n.was)
	}
}

// TestAllocations: two allocations are set up, reach the host, each other and the outside, are reached at their ports,
// pass the CHECK of a restarted client, and are torn down by it, once more without effect.
//
// Claim: Nomad's calls work with the drop-in: fingerprint, ADD, the CHECK of a restarted client, and DEL, also after the namespace is gone
func TestAllocations(t *testing.T) {
	t.Parallel()
	for _, tt := range both {
		t.Run(strings.TrimSuffix(tt.list, ".conflist"), func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			lan := h.LAN(t)
			n := newNode(t, h, tt.list, tt.subnets...)
			web, webNS := n.allocate("web", 8080)
			db, dbNS := n.allocate("db", 8081)
			got := []status{n.setup(web), n.setup(db)}
			expect.Equal(t, "status", got, tt.want)
			n.traffic(lan, webNS, got[1])
			n.start()
			for _, a := range []allocation{web, db} {
				if err := n.restored(a); err != nil {
					t.Errorf("CHECK after a restart of the client: %v", err)
				}
				n.teardown(a)
				n.teardown(a)
			}
			webNS.Delete() // DEL has set lo down in both
			dbNS.Delete()
		})
	}
}

// traffic requires that an allocation reaches the outside and another one, and that the outside reaches its ports.
func (n *node) traffic(lan *nettest.LAN, web *nettest.Container, other status) {
	n.t.Helper()
	targets := []string{other.Address, nettest.LANOutside4}
	if other.AddressIPv6 != "" {
		targets = append(targets, other.AddressIPv6, nettest.LANOutside6)
	}
	for _, to := range targets {
		if err := web.PingOnce(netip.MustParseAddr(to)); err != nil {
			n.t.Error(err)
		}
	}
	port := netip.MustParseAddrPort(nettest.LANHost4 + ":8080")
	serve.TCP(n.t, web.Netns, ":80", nil)
	if err := serve.Connect(lan.Outside, port, 5*time.Second); err != nil {
		n.t.Errorf("published port: %v", err)
	}
}

// TestCheckFails: an allocation whose address was lost fails the CHECK, after which Nomad tears it down and sets up a new
// namespace for it, with the same ID and ports.
//
// Claim: Nomad's calls work with the drop-in: fingerprint, ADD, the CHECK of a restarted client, and DEL, also after the namespace is gone
func TestCheckFails(t *testing.T) {
	t.Parallel()
	n := newNode(t, single(t), both[0].list, both[0].subnets...)
	a, c := n.allocate("web", 8080)
	n.setup(a)
	c.Run(t, "ip", "address", "flush", "dev", "eth0")
	if err := n.restored(a); err == nil || !strings.Contains(err.Error(), "172.26.64.2") {
		t.Errorf("CHECK without the address: %v", err)
	}
	n.teardown(a)
	c.Delete()
	again, c := n.allocate("web", 8080)
	n.setup(again)
	if err := n.restored(again); err != nil {
		t.Errorf("CHECK of the new namespace: %v", err)
	}
	n.teardown(again)
	c.Delete()
}

// TestNamespaceGone: the pause container was removed, so the path of the namespace does not exist. The reference's DEL
// fails then, and Nomad removes the chains of iptables itself; ours succeeds and leaves nothing.
//
// Claim: Nomad's calls work with the drop-in: fingerprint, ADD, the CHECK of a restarted client, and DEL, also after the namespace is gone
func TestNamespaceGone(t *testing.T) {
	t.Parallel()
	for _, tt := range both {
		t.Run(strings.TrimSuffix(tt.list, ".conflist"), func(t *testing.T) {
			t.Parallel()
			n := newNode(t, single(t), tt.list, tt.subnets...)
			a, c := n.allocate("web", 8080)
			n.setup(a)
			c.Delete()
			n.teardown(a)
			n.NoLeaks(t)
		})
	}
}
