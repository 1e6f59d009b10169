package main

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// BenchmarkKernel prints what single requests to the kernel cost, for docs/architecture.md: why a veth
// pair is created in place, why deletions overlap, and why an ADD only adds elements.
//
//	cd test && go test -run '^$' -bench Kernel -benchtime 50x -exec ../scripts/as-root.sh ./bench
func BenchmarkKernel(b *testing.B) {
	nettest.Root(b)
	h := newBenchHost(b)
	for _, one := range []struct {
		name  string
		timed int
		calls []func() error
	}{
		{"create a veth pair with its peer in the container", 0, []func() error{h.createVeth, h.deleteVeth}},
		{"create a veth pair and move its peer", 0, []func() error{h.moveVeth, h.deleteVeth}},
		{"delete a veth pair", 1, []func() error{h.createVeth, h.deleteVeth}},
		{"nftables: add an element", 0, []func() error{h.addElement, h.deleteElement}},
		{"nftables: delete an element", 1, []func() error{h.addElement, h.deleteElement}},
	} {
		b.Run(one.name, func(b *testing.B) { h.pair(b, one.timed, one.calls...) })
	}
	b.Run("start a program", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			began := time.Now()
			if err := exec.Command("/bin/true").Run(); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		reportMedian(b, took)
	})
}

// benchHost is a network namespace with a bridge and an nftables verdict map, and one container.
type benchHost struct {
	host, container ns.NetNS
	bridge          netlink.Link
	set             *nftables.Set
}

func newBenchHost(b *testing.B) *benchHost {
	b.Helper()
	h := &benchHost{host: benchNetns(b, "h"), container: benchNetns(b, "c")}
	err := h.host.Do(func(ns.NetNS) error {
		h.bridge = &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "cni0"}}
		if err := netlink.LinkAdd(h.bridge); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(h.bridge); err != nil {
			return err
		}
		c := &nftables.Conn{}
		table := c.AddTable(&nftables.Table{Name: "bench", Family: nftables.TableFamilyINet})
		c.AddChain(&nftables.Chain{Table: table, Name: "c"})
		h.set = &nftables.Set{Table: table, Name: "m", KeyType: nftables.TypeIPAddr, DataType: nftables.TypeVerdict, IsMap: true}
		if err := c.AddSet(h.set, nil); err != nil {
			return err
		}
		return c.Flush()
	})
	if err != nil {
		b.Fatal(err)
	}
	return h
}

func benchNetns(b *testing.B, name string) ns.NetNS {
	b.Helper()
	path := fmt.Sprintf("%s/%s", b.TempDir(), name)
	if err := pinNetns(path); err != nil {
		b.Fatal(err)
	}
	n, err := ns.GetNS(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		n.Close()
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			b.Errorf("unmount %s: %v", path, err)
		}
	})
	return n
}

// pair makes the two calls in turns in the host, and reports the median duration of the first or the second.
func (h *benchHost) pair(b *testing.B, timed int, calls ...func() error) {
	b.Helper()
	var took []time.Duration
	err := h.host.Do(func(ns.NetNS) error {
		for b.Loop() {
			for i, call := range calls {
				began := time.Now()
				if err := call(); err != nil {
					return err
				}
				if i == timed {
					took = append(took, time.Since(began))
				}
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	reportMedian(b, took)
}

func reportMedian(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms")
	b.ReportMetric(0, "ns/op") // of both calls
}

func (h *benchHost) veth() *netlink.Veth {
	return &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "veth0", MasterIndex: h.bridge.Attrs().Index, Flags: net.FlagUp}, PeerName: "eth0"}
}

func (h *benchHost) createVeth() error {
	v := h.veth()
	v.PeerNamespace = netlink.NsFd(int(h.container.Fd()))
	return netlink.LinkAdd(v)
}

func (h *benchHost) moveVeth() error {
	if err := netlink.LinkAdd(h.veth()); err != nil {
		return err
	}
	peer, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	return netlink.LinkSetNsFd(peer, int(h.container.Fd()))
}

func (h *benchHost) deleteVeth() error {
	l, err := netlink.LinkByName("veth0")
	if err != nil {
		return err
	}
	return netlink.LinkDel(l)
}

func (h *benchHost) element() []nftables.SetElement {
	return []nftables.SetElement{{Key: []byte{10, 0, 0, 1}, VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: "c"}}}
}

func (h *benchHost) addElement() error {
	c := &nftables.Conn{}
	if err := c.SetAddElements(h.set, h.element()); err != nil {
		return err
	}
	return c.Flush()
}

func (h *benchHost) deleteElement() error {
	c := &nftables.Conn{}
	if err := c.SetDeleteElements(h.set, h.element()); err != nil {
		return err
	}
	return c.Flush()
}
