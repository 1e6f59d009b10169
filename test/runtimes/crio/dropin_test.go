package crio

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/cri-o/ocicni/pkg/ocicni"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/dropin"
	"github.com/patchbay-cni/patchbay/test/runtimes/inside"
)

// shipped are the configurations in CRI-O's contrib/cni, unmodified, by their names on a node.
func shipped() map[string]string {
	return map[string]string{"100-crio-bridge.conf": "crio.conf", "11-crio-ipv4-bridge.conflist": "crio-ipv4.conflist"}
}

// TestDropIn: CRI-O's library finds one configuration of CRI-O and the program under the names of the reference plugins. Pods on the default
// network are checked, reach the outside and one another, and are removed twice; STATUS and GC pass.
//
// Claim/100-crio-bridge.conf,11-crio-ipv4-bridge.conflist: CRI-O's library runs pods with each configuration that CRI-O ships and the drop-in,
// and nothing is left when they have been removed
func TestDropIn(t *testing.T) {
	t.Parallel()
	for name, file := range shipped() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("../lists/testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			l := &library{t: t, host: nettest.Host(t)}
			s := setting{Bin: dropin.New(t), Confs: t.TempDir()}
			if err := os.WriteFile(filepath.Join(s.Confs, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
			l.host.LAN(t)
			l.run = inside.Start(t, l.host)
			l.must("load", s)
			l.defaultNetwork()
		})
	}
}

// defaultNetwork runs pods that name no network.
func (l *library) defaultNetwork() {
	l.t.Helper()
	l.must("status", nil)
	l.must("gc", nil)
	pods := make([]ocicni.PodNetwork, 2)
	containers := make([]*nettest.Container, len(pods))
	for i := range pods {
		c := l.host.Container(fmt.Sprint("web", i))
		containers[i] = c
		pods[i] = ocicni.PodNetwork{Name: c.Name(), Namespace: "default", ID: c.ID(), UID: "uid-" + c.Name(), NetNS: c.Path()}
		l.must("set up", pods[i])
	}
	l.must("gc", pods)
	for i, c := range containers {
		l.must("check", pods[i])
		for _, to := range append(global(containers[1-i]), netip.MustParseAddr(nettest.LANOutside4)) {
			if err := c.PingOnce(to); err != nil {
				l.t.Errorf("%s: %v", c.Name(), err)
			}
		}
	}
	l.must("status", nil)
	for _, pod := range append(pods, pods...) {
		l.must("tear down", pod)
	}
	l.must("gc", nil)
	l.host.NoLeaks(l.t)
}

// global returns the addresses of a pod that are not of its link only.
func global(c *nettest.Container) (addrs []netip.Addr) {
	for _, p := range c.Addresses("eth0") {
		if !p.Addr().IsLinkLocalUnicast() {
			addrs = append(addrs, p.Addr())
		}
	}
	return addrs
}
