package bandwidth

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// BenchmarkDevice prints what an ifb device costs: its creation, and its deletion beside that of the host interface. Each deletion of an
// interface waits for RCU grace periods of the kernel.
//
//	cd test && go test -run '^$' -bench Device -benchtime 50x -exec ../scripts/as-root.sh ./network/bandwidth
func BenchmarkDevice(b *testing.B) {
	for _, one := range []struct {
		name  string
		timed int
		steps func(*devices) []func() error
	}{
		{"create a veth pair", 0, func(d *devices) []func() error { return []func() error{d.addVeth, d.deleteVeth} }},
		{"create an ifb device", 1, func(d *devices) []func() error { return []func() error{d.addVeth, d.addIFB, d.deleteBoth} }},
		{"delete a veth pair", 1, func(d *devices) []func() error { return []func() error{d.addVeth, d.deleteVeth} }},
		{"delete a veth pair, then an ifb device", 2, func(d *devices) []func() error { return []func() error{d.addVeth, d.addIFB, d.deleteBoth} }},
		{"delete a veth pair and an ifb device at the same time", 2, func(d *devices) []func() error { return []func() error{d.addVeth, d.addIFB, d.deleteAtOnce} }},
		{"delete a veth pair and an ifb device as a group", 2, func(d *devices) []func() error { return []func() error{d.addVeth, d.addIFB, d.deleteGroup} }},
	} {
		b.Run(one.name, func(b *testing.B) {
			d := newDevices(b)
			var took []time.Duration
			for b.Loop() {
				for i, step := range one.steps(d) {
					began := time.Now()
					if err := step(); err != nil {
						b.Fatal(err)
					}
					if i == one.timed {
						took = append(took, time.Since(began))
					}
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// devices is a host with a bridge, and two netlink sockets in it.
type devices struct {
	peer       netlink.NsFd
	bridge     int
	one, other *netlink.Handle
	raw        *nlsock.Socket
}

func newDevices(b *testing.B) *devices {
	h := nettest.Host(b)
	h.NoOracle("the host is removed with all that is on it")
	h.Bridge("br0")
	c := h.Container("c")
	d := &devices{one: h.Netlink()}
	h.Do(func() {
		var err error
		if d.other, err = netlink.NewHandle(); err != nil {
			b.Fatal(err)
		}
		if d.raw, err = nlsock.Open(unix.NETLINK_ROUTE); err != nil {
			b.Fatal(err)
		}
	})
	b.Cleanup(d.raw.Close)
	b.Cleanup(d.other.Close)
	l, err := d.one.LinkByName("br0")
	if err != nil {
		b.Fatal(err)
	}
	d.bridge = l.Attrs().Index
	c.Do(func() { d.peer = namespaceFD(b) })
	return d
}

func (d *devices) addVeth() error {
	v := &netlink.Veth{LinkAttrs: attrs("host0"), PeerName: "eth0", PeerNamespace: d.peer}
	v.MasterIndex = d.bridge
	return d.one.LinkAdd(v)
}

func (d *devices) addIFB() error { return d.one.LinkAdd(&netlink.Ifb{LinkAttrs: attrs("ifb0")}) }

func attrs(name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name, a.Flags, a.NumTxQueues, a.NumRxQueues = name, 1, 1, 1
	return a
}

func remove(h *netlink.Handle, name string) error {
	l, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkDel(l)
	}
	return err
}

func (d *devices) deleteVeth() error { return remove(d.one, "host0") }
func (d *devices) deleteBoth() error {
	return errors.Join(remove(d.one, "host0"), remove(d.one, "ifb0"))
}

func (d *devices) deleteAtOnce() error {
	done := make(chan error, 1)
	go func() { done <- remove(d.other, "ifb0") }()
	return errors.Join(remove(d.one, "host0"), <-done)
}

func (d *devices) deleteGroup() error {
	for _, name := range []string{"host0", "ifb0"} {
		l, err := d.one.LinkByName(name)
		if err == nil {
			err = d.one.LinkSetGroup(l, 4711)
		}
		if err != nil {
			return err
		}
	}
	request := nlsock.Message{Type: unix.RTM_DELLINK, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK, Data: make([]byte, unix.SizeofIfInfomsg)}
	for _, half := range []uint16{unix.SizeofRtAttr + 4, unix.IFLA_GROUP, 4711, 0} { // little-endian
		request.Data = append(request.Data, byte(half), byte(half>>8))
	}
	for _, err := range d.raw.Execute(request) {
		return err
	}
	return nil
}

func namespaceFD(b *testing.B) netlink.NsFd {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { unix.Close(fd) })
	return netlink.NsFd(fd)
}
