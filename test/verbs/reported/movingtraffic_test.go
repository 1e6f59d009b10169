package reported

import (
	"net/netip"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/conflist"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

// firewallLeftIn: the list requests drops from the reference plugin, and CHECK of the same list succeeds.
func firewallLeftIn(policy, subnet string) func(*testing.T) {
	return func(t *testing.T) {
		nettest.Need(t, nettest.Tool("iptables"))
		r := conflist.New(t, nettest.Host(t))
		list := conflist.List(t, "net", mainOf("patchbay", "patchbay", cni.Conf{"ipMasq": true}, subnet),
			cni.Conf{"type": "firewall", "backend": "iptables", "ingressPolicy": policy})
		r.Allow("nft ") // rules that the reference leaves
		c1, c2 := r.Container("c1"), r.Container("c2")
		r.Add(t, list, c1)
		r.Add(t, list, c2)
		for _, c := range []*nettest.Container{c1, c2} {
			if err := r.Check(list, c); err != nil {
				t.Errorf("CHECK of %s: %v", c.Name(), err)
			}
		}
		r.Del(t, list, c1)
		if err := r.Check(list, c2); err != nil {
			t.Errorf("CHECK of c2 after the DEL of c1: %v", err)
		}
		r.Del(t, list, c2)
	}
}

// dropLoadedAfter: CHECK ignores the filters of other programs; doctor reports them.
func dropLoadedAfter(t *testing.T) {
	nettest.Need(t, nettest.Tool("nft"))
	r := conflist.New(t, nettest.Host(t))
	list := conflist.List(t, "net", mainOf("patchbay", "patchbay", cni.Conf{"ipMasq": true}, "10.88.0.0/24"))
	c := r.Container("c1")
	r.Add(t, list, c)
	r.Run(t, "nft", "add table inet site; add chain inet site forward { type filter hook forward priority 0; policy drop; }")
	if err := r.Check(list, c); err != nil {
		t.Errorf("CHECK: %v", err)
	}
	out, err := r.Command(nettest.Patchbay(t), "doctor").CombinedOutput()
	if err == nil {
		t.Error("doctor finds nothing")
	}
	expect.Contains(t, string(out), "table inet site")
	r.Run(t, "nft", "delete", "table", "inet", "site")
	r.Del(t, list, c)
}

// connects requires that the LAN reaches a port of the host, or does not, in both families.
func (m *move) connects(t *testing.T, port int, want bool) {
	t.Helper()
	patience := 2 * time.Second
	if want {
		patience = 20 * time.Second
	}
	for _, addr := range []string{nettest.LANHost4, nettest.LANHost6} {
		err := serve.Connect(m.lan.Outside, netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(port)), patience)
		if (err == nil) != want {
			t.Errorf("port %d of %s is reached: %v, want %t", port, addr, err, want)
		}
	}
}
