package overlay

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// open opens the overlay of a host on a LAN.
func open(t *testing.T) (*nettest.Node, *Host) {
	t.Helper()
	nettest.Need(t, nettest.IPv6, nettest.LinkKind("vxlan"))
	h := nettest.Host(t)
	h.LAN(t)
	var o *Host
	var err error
	h.Do(func() { o, err = Open() })
	must(t, err)
	t.Cleanup(o.Close)
	return h, o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// device4 and device6 are what the host of the tests is to have.
func device4() cluster.Device {
	local := netip.MustParseAddr(nettest.LANHost4)
	return cluster.Device{Name: cluster.Overlay4, Local: local, MAC: cluster.MACOf(local), MTU: 1450, VNI: 4096, Port: 8472}
}

func device6() cluster.Device {
	local := netip.MustParseAddr(nettest.LANHost6)
	return cluster.Device{Name: cluster.Overlay6, Local: local, MAC: cluster.MACOf(local), MTU: 1430, VNI: 4096, Port: 8472}
}

// described is the device as ip(8) prints it.
func described(t *testing.T, h *nettest.Node, name string) string {
	t.Helper()
	return strings.Join(strings.Fields(h.Run(t, "ip", "-d", "link", "show", name)), " ")
}

func ensure(t *testing.T, o *Host, d cluster.Device) (index int, change string) {
	t.Helper()
	index, change, err := o.Ensure(d)
	must(t, err)
	return index, change
}

// TestEnsure: a device of each family is made, and has again what another program has changed.
//
// Claim: The VXLAN device has learning and ARP off, and is made again as it was when another program deletes it, sets it down or changes its MAC, MTU or address
func TestEnsure(t *testing.T) {
	h, o := open(t)
	for _, d := range []cluster.Device{device4(), device6()} {
		index, change := ensure(t, o, d)
		first := described(t, h, d.Name)
		for _, part := range []string{
			"NOARP,UP", "mtu 14", "link/ether " + d.MAC.String(), "vxlan id 4096 local " + d.Local.String() + " ", "dstport 8472 nolearning", "addrgenmode none", "alias " + Mark,
		} {
			if !strings.Contains(first, part) {
				t.Errorf("%s lacks %s: %s", d.Name, part, first)
			}
		}
		if _, again := ensure(t, o, d); change != "made" || again != "" {
			t.Errorf("changes: %q, then %q", change, again)
		}
		for args, want := range map[string]string{
			"set NAME down": "up", "set NAME address 02:00:00:00:00:01": "address", "set NAME mtu 1400": "mtu", "set NAME alias x": "alias", "set NAME arp on": "ARP off",
			"set NAME type vxlan learning": "made anew", "del NAME": "made",
		} {
			h.Run(t, "ip", strings.Fields("link "+strings.ReplaceAll(args, "NAME", d.Name))...)
			now, change := ensure(t, o, d)
			if change != want || (now == index) != (want != "made anew" && want != "made") {
				t.Errorf("ip link %s: changed %q, index %d after %d", args, change, now, index)
			}
			index = now
			if got := described(t, h, d.Name); got[strings.Index(got, ":"):] != first[strings.Index(first, ":"):] {
				t.Errorf("ip link %s:\n%s\nbefore:\n%s", args, got, first)
			}
		}
	}
	moved := device4()
	moved.Local = netip.MustParseAddr("192.0.2.77")
	moved.MAC, moved.VNI, moved.Port = cluster.MACOf(moved.Local), 77, 4789
	if _, change := ensure(t, o, moved); change != "made anew" {
		t.Errorf("another address: %q", change)
	}
	for _, name := range []string{cluster.Overlay4, cluster.Overlay6} {
		removed, err := o.Remove(name)
		again, failed := o.Remove(name)
		if !removed || again || err != nil || failed != nil {
			t.Errorf("removal of %s: %t, %v, then %t, %v", name, removed, err, again, failed)
		}
	}
}

// TestForeign: an interface of another program is neither changed nor deleted, whatever its kind.
//
// Claim: An interface named patchbay.vx that another program has made is reported, and neither changed nor deleted
func TestForeign(t *testing.T) {
	h, o := open(t)
	for _, args := range []string{
		"add patchbay.vx type bridge", "add patchbay.vx type vxlan id 4096 local 192.0.2.10 dstport 8472 nolearning",
		"add patchbay.vx address " + device4().MAC.String() + " type vxlan id 4096 local 192.0.2.11 dstport 8472 nolearning", "add other altname patchbay.vx type bridge",
	} {
		fields := strings.Fields("link " + args)
		if fields[2] == "other" {
			h.Run(t, "ip", "link", "add", "other", "type", "bridge")
			h.Run(t, "ip", "link", "property", "add", "dev", "other", "altname", "patchbay.vx")
		} else {
			h.Run(t, "ip", fields...)
		}
		before := described(t, h, "patchbay.vx")
		index, change, err := o.Ensure(device4())
		if !errors.Is(err, ErrForeign) || index != 0 || change != "" {
			t.Errorf("%s: %d, %q, %v", args, index, change, err)
		}
		removed, err := o.Remove("patchbay.vx")
		if found, failed := o.Index("patchbay.vx"); removed || err != nil || found != 0 || failed != nil {
			t.Errorf("%s: removed %t, %v; index %d, %v", args, removed, err, found, failed)
		}
		if after := described(t, h, "patchbay.vx"); after != before {
			t.Errorf("%s: %s\nbefore: %s", args, after, before)
		}
		h.Run(t, "ip", "link", "del", "patchbay.vx")
	}
	h.Run(t, "ip", "link", "add", "vx0", "type", "vxlan", "id", "4096", "local", nettest.LANHost4, "dstport", "8472")
	if _, _, err := o.Ensure(device4()); err == nil || !strings.Contains(err.Error(), "another VXLAN device has VNI 4096 and port 8472") {
		t.Errorf("the VNI is in use: %v", err)
	}
	h.Run(t, "ip", "link", "del", "vx0")
}

// TestPortInUse: another program has the UDP port. The device is finished as soon as the port is free.
func TestPortInUse(t *testing.T) {
	h, o := open(t)
	var socket net.PacketConn
	var err error
	h.Do(func() { socket, err = net.ListenPacket("udp4", ":8472") })
	must(t, err)
	if _, _, err := o.Ensure(device4()); err == nil || !strings.Contains(err.Error(), "another program has UDP port 8472: end it, or set vxlanPort") {
		t.Errorf("the port is in use: %v", err)
	}
	must(t, socket.Close())
	if _, change := ensure(t, o, device4()); change != "up" {
		t.Errorf("changes: %q", change)
	}
	remove(t, o)
}

// TestUnfinished: a device whose program was killed after it had created it has the derived MAC, and no alias.
func TestUnfinished(t *testing.T) {
	h, o := open(t)
	d := device4()
	h.Run(t, "ip", "link", "add", d.Name, "address", d.MAC.String(), "mtu", "1450", "type", "vxlan", "id", "4096", "local", nettest.LANHost4, "dstport", "8472", "nolearning")
	if _, change := ensure(t, o, d); change != "alias, ARP off, up" {
		t.Errorf("changes: %q", change)
	}
	if removed, err := o.Remove(d.Name); !removed || err != nil {
		t.Errorf("removed %t, %v", removed, err)
	}
}

// TestEntries: entries are set, replaced and deleted; those of other programs are not listed and not deleted.
//
// Claim: Neighbour and FDB entries of other programs on the VXLAN device are neither listed nor deleted
func TestEntries(t *testing.T) {
	h, o := open(t)
	index, _ := ensure(t, o, device4())
	node, next := netip.MustParseAddr("192.0.2.20"), netip.MustParseAddr("192.0.2.21")
	forward := cluster.Forward{MAC: cluster.MACOf(node), To: node}
	want := cluster.Entries{Forwards: []cluster.Forward{forward}}
	for _, gateway := range []string{"10.244.2.0", "fe80::2"} {
		want.Neighbours = append(want.Neighbours, cluster.Neighbour{Addr: netip.MustParseAddr(gateway), MAC: forward.MAC})
	}
	listed := func(what string, want cluster.Entries) {
		t.Helper()
		got, err := o.Entries(index)
		must(t, err)
		slices.SortFunc(got.Neighbours, func(a, b cluster.Neighbour) int { return a.Addr.Compare(b.Addr) })
		if diff := cmp.Diff(want, got, cmp.Transformer("text", func(a netip.Addr) string { return a.String() })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	set := func() {
		t.Helper()
		must(t, o.SetForward(index, forward))
		for _, n := range want.Neighbours {
			must(t, o.SetNeighbour(index, n))
		}
	}
	listed("nothing", cluster.Entries{})
	set()
	listed("all", want)
	mac := forward.MAC.String()
	for _, foreign := range []string{
		"bridge fdb replace " + mac + " dev patchbay.vx dst 192.0.2.99 self permanent", "bridge fdb replace " + mac + " dev patchbay.vx dst 192.0.2.20 port 99 self permanent",
		"bridge fdb replace " + mac + " dev patchbay.vx dst 192.0.2.20 self dynamic", "bridge fdb del " + mac + " dev patchbay.vx self",
	} {
		h.Run(t, strings.Fields(foreign)[0], strings.Fields(foreign)[1:]...)
		listed(foreign, cluster.Entries{Neighbours: want.Neighbours})
		set()
		listed("after "+foreign, want)
	}
	h.Run(t, "ip", "neigh", "replace", "fe80::2", "lladdr", mac, "nud", "stale", "dev", "patchbay.vx")
	listed("no permanent entry", cluster.Entries{Forwards: want.Forwards, Neighbours: want.Neighbours[:1]})
	set()
	h.Run(t, "ip", "neigh", "add", "10.9.9.9", "lladdr", mac, "nud", "permanent", "dev", "patchbay.vx")
	h.Run(t, "bridge", "fdb", "add", "02:00:00:00:00:09", "dev", "patchbay.vx", "dst", "192.0.2.99", "self", "permanent")
	listed("beside those of another program", want)
	other := cluster.Forward{MAC: cluster.MACOf(next), To: next}
	must(t, o.SetForward(index, other))
	must(t, o.DeleteForward(index, other))
	must(t, o.DeleteForward(index, other))
	must(t, o.DeleteForward(index, forward))
	for _, n := range want.Neighbours {
		must(t, o.DeleteNeighbour(index, n))
		must(t, o.DeleteNeighbour(index, n))
	}
	listed("deleted", cluster.Entries{})
	left := h.Run(t, "ip", "neigh", "show", "dev", "patchbay.vx") + h.Run(t, "bridge", "fdb", "show", "dev", "patchbay.vx")
	if strings.Count(left, "\n") != 2 || !strings.Contains(left, "10.9.9.9") || !strings.Contains(left, "02:00:00:00:00:09") {
		t.Errorf("left: %s", left)
	}
	remove(t, o)
}

func remove(t *testing.T, o *Host) {
	t.Helper()
	_, err := o.Remove(cluster.Overlay4)
	must(t, err)
}

// TestAddresses: addresses are added and those of an old pod CIDR removed; others stay.
func TestAddresses(t *testing.T) {
	h, o := open(t)
	index, _ := ensure(t, o, device4())
	within := []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00:10:244::/48")}
	h.Run(t, "ip", "address", "add", "10.9.9.9/32", "dev", "patchbay.vx")
	h.Run(t, "ip", "address", "add", "10.244.9.9/24", "dev", "patchbay.vx")
	for _, own := range [][2]string{{"10.244.1.0/32", "fd00:10:244:1::/128"}, {"10.244.2.0/32", "fd00:10:244:2::/128"}} {
		want := []netip.Prefix{netip.MustParsePrefix(own[0]), netip.MustParsePrefix(own[1])}
		for range 2 {
			must(t, o.SetAddresses(index, want, within))
		}
		got := h.Addresses("patchbay.vx")
		want = append(want, netip.MustParsePrefix("10.9.9.9/32"), netip.MustParsePrefix("10.244.9.9/24"))
		slices.SortFunc(got, netip.Prefix.Compare)
		slices.SortFunc(want, netip.Prefix.Compare)
		if !slices.Equal(got, want) {
			t.Errorf("addresses %s, want %s", got, want)
		}
	}
	remove(t, o)
}
