package flannel

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/conflist"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

// port is the published port of a pod.
func port() conflist.Port {
	return conflist.Port{HostPort: 8080, ContainerPort: 80, Protocol: "tcp"}
}

// TestPods: two pods have addresses of the node's subnet, reach each other and a pod of another node with their own
// addresses, and the outside if the bridge masquerades; the outside reaches a published port. DEL leaves nothing.
//
// Claim: flannel's plugin works with the drop-in behind it, with the lists of k3s and of flannel: ADD, CHECK, traffic to other nodes, DEL
func TestPods(t *testing.T) {
	t.Parallel()
	for _, s := range setups() {
		t.Run(s.list, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, s)
			lan, other := n.cluster()
			web, db := n.Container("web"), n.Container("db")
			results := []*types100.Result{n.Add(t, n.list, web, port()), n.Add(t, n.list, db)}
			for i, r := range results {
				expect.Equal(t, "addresses", strings.Trim(fmt.Sprint(cni.Addresses(r)), "[]"), s.want[i])
			}
			if s.check {
				if err := n.Check(n.list, web, port()); err != nil {
					t.Errorf("CHECK: %v", err)
				}
			}
			expect.Contains(t, web.Run(t, "ip", "link", "show", "eth0"), "mtu 1450")
			n.traffic(s, lan, web, results)
			n.ownAddress(s, web, other, cni.Addresses(results[0]))
			n.Del(t, n.list, web, port())
			n.Del(t, n.list, db)
			n.Del(t, n.list, web, port())
			n.NoLeaks(t)
		})
	}
}

// traffic requires that a pod reaches its neighbour, and the outside if the bridge masquerades, and that the outside
// reaches its published port.
func (n *node) traffic(s setup, lan *nettest.LAN, web *nettest.Container, results []*types100.Result) {
	n.t.Helper()
	for _, to := range cni.Addresses(results[1]) {
		if err := web.PingOnce(to); err != nil {
			n.t.Errorf("neighbour: %v", err)
		}
	}
	if err := web.PingOnce(netip.MustParseAddr(nettest.LANOutside4)); (err == nil) != s.outside {
		n.t.Errorf("outside: %v", err)
	}
	serve.TCP(n.t, web.Netns, ":80", nil)
	if err := serve.Connect(lan.Outside, netip.MustParseAddrPort(nettest.LANHost4+":8080"), 5*time.Second); err != nil {
		n.t.Errorf("published port: %v", err)
	}
}

// ownAddress requires that a pod reaches one of another node, which sees the pod's address, or that of the node if the
// bridge masquerades.
func (n *node) ownAddress(s setup, web *nettest.Container, other *nettest.Netns, addresses []netip.Addr) {
	n.t.Helper()
	for _, want := range addresses {
		to := netip.AddrPortFrom(netip.MustParseAddr(remote4), 53)
		if want.Is6() {
			to = netip.AddrPortFrom(netip.MustParseAddr(remote6), 53)
		}
		if s.outside {
			want = netip.MustParseAddr(nettest.LANHost4)
		}
		serve.UDP(n.t, other, to.String(), func(from netip.Addr, _ string) string { return from.Unmap().String() })
		if got, err := ask(web.Netns, to); err != nil || got != want.String() {
			n.t.Errorf("a pod of another node sees %q, want %s: %v", got, want, err)
		}
	}
}

// ask sends a datagram from a namespace and returns the reply.
func ask(from *nettest.Netns, to netip.AddrPort) (string, error) {
	var conn net.Conn
	var err error
	from.Do(func() { conn, err = net.Dial("udp", to.String()) })
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("?")); err != nil {
		return "", err
	}
	reply := make([]byte, 64)
	size, err := conn.Read(reply)
	return string(reply[:size]), err
}

// TestOtherSubnet: a node that joins its cluster again gets another subnet, and the former one may be another node's. The
// bridge, which still has the address of the former, gets that of the new one instead. With the reference plugins this
// takes forceAddress, which the manifest of flannel does not have.
//
// Claim: When flannel's subnet changes, the next ADD gives the bridge the address of the new one in the place of the other
func TestOtherSubnet(t *testing.T) {
	t.Parallel()
	for _, s := range setups() {
		t.Run(s.list, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, s)
			web, db := n.Container("web"), n.Container("db")
			n.Add(t, n.list, web)
			n.Del(t, n.list, web)
			n.joins(strings.ReplaceAll(strings.Join(s.subnets, "\n"), "10.42.0.1/24", "10.42.3.1/24"))
			n.Add(t, n.list, db)
			if err := db.PingOnce(netip.MustParseAddr("10.42.3.1")); err != nil {
				t.Error(err)
			}
			if got := fmt.Sprint(n.Addresses("cni0")); strings.Contains(got, "10.42.0.1/24") || !strings.Contains(got, "10.42.3.1/24") {
				t.Errorf("addresses of the bridge: %s", got)
			}
			n.Del(t, n.list, db)
		})
	}
}

// TestLostFile: without its file, the plugin of flannel does not call the DEL of bridge. portmap's DEL removes the
// published port, and the kernel the interface with the namespace; the next ADD and `patchbay gc` remove the rest.
//
// Claim: An attachment whose DEL flannel's plugin does not pass on is removed by `patchbay gc`
func TestLostFile(t *testing.T) {
	t.Parallel()
	for _, s := range setups() {
		t.Run(s.list, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, s)
			web := n.Container("web")
			n.Add(t, n.list, web, port())
			expect.Equal(t, "files", n.files(), []string{web.ID()})
			var err error
			n.Do(func() { err = os.Remove(filepath.Join(dataDir, web.ID())) })
			if err != nil {
				t.Fatal(err)
			}
			n.Del(t, n.list, web, port())
			web.Delete()
			n.awaitStale(t)
			db := n.Container("db")
			n.Add(t, n.list, db, port())
			n.Patchbay(t, "gc")
			n.Del(t, n.list, db, port())
			n.NoLeaks(t)
		})
	}
}

// awaitStale waits until the kernel has deleted a namespace and, with it, the host interface of an attachment.
func (n *node) awaitStale(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if strings.Contains(n.Patchbay(t, "ls"), " stale") {
			return
		}
	}
	t.Fatal("the host interface is still there")
}
