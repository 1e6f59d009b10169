package store

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

func savedRecord(t *testing.T, dirs Dirs, id string) *Record {
	t.Helper()
	r, err := decodeRecord([]byte(files(t, dirs.State)["net/"+id+"@eth0.json"]))
	if err != nil || r == nil {
		t.Fatalf("record of %s: %v, %v", id, r, err)
	}
	return r
}

// The files have host-local's content, so that host-local can continue with them.
func TestAddressFiles(t *testing.T) {
	dirs := newDirs(t)
	req := Request{Pool: pool(t, "10.1.2.0/24", "2001:DB8:0:0::/64")}
	gives(t, dirs, keyFor("c1"), req, "10.1.2.2 2001:db8::2")
	sameFiles(t, dirs.Data, map[string]string{
		"net/10.1.2.2": "c1\r\neth0", "net/2001:db8::2": "c1\r\neth0",
		"net/last_reserved_ip.0": "10.1.2.2", "net/last_reserved_ip.1": "2001:db8::2", "net/lock": "",
	})
	want := []Address{
		{Address: prefix("10.1.2.2/24"), Gateway: addr("10.1.2.1")},
		{Address: prefix("2001:db8::2/64"), Gateway: addr("2001:db8::1")},
	}
	r := savedRecord(t, dirs, "c1")
	if diff := cmp.Diff(want, r.Addresses, netips()); diff != "" || r.DataDir != dirs.Data {
		t.Errorf("the record has the data directory %s and the addresses (-want +got):\n%s", r.DataDir, diff)
	}
	release(t, dirs, keyFor("c1"))
	sameFiles(t, dirs.Data, map[string]string{
		"net/last_reserved_ip.0": "10.1.2.2", "net/last_reserved_ip.1": "2001:db8::2", "net/lock": "",
	})
	sameFiles(t, dirs.State, map[string]string{})
	gives(t, dirs, keyFor("c2"), req, "10.1.2.3 2001:db8::3") // each set has a cursor
}

// Claim: IPAM supports exclusions, sticky addresses, small pools, round robin, requested addresses and resolvConf
func TestRoundRobin(t *testing.T) {
	dirs := newDirs(t)
	req := Request{Pool: pool(t, "10.1.2.0/29")} // .2 to .6
	gives(t, dirs, keyFor("c2"), req, "10.1.2.2")
	gives(t, dirs, keyFor("c3"), req, "10.1.2.3")
	release(t, dirs, keyFor("c2"))
	for _, last := range []string{"4", "5", "6", "2"} {
		gives(t, dirs, keyFor("d"+last), req, "10.1.2."+last)
	}
	_, err := reserve(t, dirs, keyFor("c8"), req)
	if !errors.Is(err, ErrExhausted) {
		t.Errorf("got %v, want ErrExhausted", err)
	}
	saysOf(t, err, "no IP addresses available in range set: 10.1.2.1-10.1.2.6")
	// setCursor truncates the old cursor.
	long := Request{Pool: pool(t, "10.1.2.0/24 10.1.2.99 10.1.2.100")}
	gives(t, dirs, keyFor("e99"), long, "10.1.2.99")
	gives(t, dirs, keyFor("e100"), long, "10.1.2.100")
	release(t, dirs, keyFor("e99"))
	gives(t, dirs, keyFor("e99"), long, "10.1.2.99")
	if got := files(t, dirs.Data)["net/last_reserved_ip.0"]; got != "10.1.2.99" {
		t.Errorf("the cursor is %q", got)
	}
	// An unreadable cursor restarts the round robin.
	release(t, dirs, keyFor("d4"))
	put(t, addrPath(dirs, "last_reserved_ip.0"), "10.1.")
	gives(t, dirs, keyFor("c8"), req, "10.1.2.4")
}

// The record with the addresses is saved before the first address file is written.
//
// Claim: The record is written before the first address file; of several addresses all are reserved or none; concurrent ADDs never get the
// same address
func TestReserveRecordFirst(t *testing.T) {
	t.Run("record cannot be saved", func(t *testing.T) {
		dirs := newDirs(t)
		mkdir(t, recordPath(dirs, "c1")+".tmp/x")
		_, err := reserveOnce(t, dirs)
		saysOf(t, err, "c1@eth0.json.tmp"+notOurs+"a directory")
		sameFiles(t, dirs.Data, map[string]string{"net/lock": ""})
	})
	t.Run("address cannot be written", func(t *testing.T) {
		dirs := newDirs(t)
		mkdir(t, addrPath(dirs, "last_reserved_ip.0"))
		a, err := reserveOnce(t, dirs)
		saysOf(t, err, "last_reserved_ip.0"+notOurs+"a directory")
		sameFiles(t, dirs.Data, map[string]string{"net/lock": ""})
		r := savedRecord(t, dirs, "c1")
		if len(r.Addresses) != 1 || r.Addresses[0].Address != prefix("10.1.2.2/24") {
			t.Errorf("the record has the addresses %v", r.Addresses)
		}
		closeIt(t, a)
		release(t, dirs, keyFor("c1"))
	})
}

// Of several addresses all are reserved, or none.
//
// Claim: The record is written before the first address file; of several addresses all are reserved or none; concurrent ADDs never get the
// same address
func TestReserveAllOrNone(t *testing.T) {
	two := []string{"10.1.2.0/24", "10.1.3.0/30 10.1.3.2 10.1.3.2"}
	t.Run("second set exhausted", func(t *testing.T) {
		dirs := newDirs(t)
		gives(t, dirs, keyFor("c1"), Request{Pool: pool(t, two...)}, "10.1.2.2 10.1.3.2")
		before := files(t, dirs.Data)
		_, err := reserve(t, dirs, keyFor("c2"), Request{Pool: pool(t, two...)})
		saysOf(t, err, "no IP addresses available in range set: 10.1.3.2-10.1.3.2")
		sameFiles(t, dirs.Data, before)
		sameFiles(t, dirs.State, map[string]string{"net/c1@eth0.json": files(t, dirs.State)["net/c1@eth0.json"]})
	})
	t.Run("second address cannot be written", func(t *testing.T) {
		dirs := newDirs(t)
		mkdir(t, addrPath(dirs, "last_reserved_ip.1"))
		_, err := reserve(t, dirs, keyFor("c1"), Request{Pool: pool(t, two...)})
		saysOf(t, err, "last_reserved_ip.1"+notOurs+"a directory")
		sameFiles(t, dirs.Data, map[string]string{"net/last_reserved_ip.0": "10.1.2.2", "net/lock": ""})
	})
	t.Run("sticky memory cannot be written", func(t *testing.T) {
		dirs := newDirs(t)
		a := open(t, dirs, keyFor("c1"))
		n := lockedNetwork(t, dirs)
		put(t, filepath.Join(dirs.Data, "file"), "")
		err := a.writeAddresses(n, &memory{dir: filepath.Join(dirs.Data, "file/x"), owner: "pod"}, []netip.Addr{addr("10.1.2.2"), addr("10.1.3.2")})
		saysOf(t, err, "not a directory")
		sameFiles(t, dirs.Data, map[string]string{"file": "", "net/last_reserved_ip.0": "10.1.2.2", "net/last_reserved_ip.1": "10.1.3.2", "net/lock": ""})
	})
}

func lockedNetwork(t *testing.T, dirs Dirs) *network {
	t.Helper()
	n, err := openNetwork(t.Context(), dirs, "net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.close)
	return n
}

// Claim: An address of `--ip` that cannot be given has one reason, the ranges if it is outside of them, and a remedy that fits the
// network: on a LAN another address
func TestRequested(t *testing.T) {
	dirs := newDirs(t)
	p := ipam.Pool{
		Sets:    []ipam.Set{{{Subnet: prefix("10.1.2.0/24")}}, {{Subnet: prefix("2001:db8::/64")}}},
		Exclude: []netip.Prefix{prefix("10.1.2.128/25")},
	}
	if err := p.Complete(); err != nil {
		t.Fatal(err)
	}
	req := func(texts ...string) Request {
		r := Request{Pool: p}
		for _, text := range texts {
			r.Requested = append(r.Requested, addr(text))
		}
		return r
	}
	gives(t, dirs, keyFor("c1"), req("10.1.2.77"), "10.1.2.77 2001:db8::2")
	gives(t, dirs, keyFor("c2"), req("2001:db8::77", "10.1.2.99"), "10.1.2.99 2001:db8::77")
	before := files(t, dirs.Data)
	mkdir(t, addrPath(dirs, "10.1.2.88"))
	const ranges = "10.1.2.1-10.1.2.254,2001:db8::1-2001:db8::ffff:ffff:ffff:ffff"
	for _, tc := range []struct{ name, asked, want string }{
		{"a network address", "10.1.2.0", "requested IP address 10.1.2.0 is the network address of 10.1.2.0/24"},
		{"a broadcast address", "10.1.2.255", "requested IP address 10.1.2.255 is the broadcast address of 10.1.2.0/24"},
		{"taken", "10.1.2.77", "requested IP address 10.1.2.77 is taken by c1/eth0"},
		{"the gateway", "2001:db8::1", "requested IP address 2001:db8::1 is the gateway of its subnet"},
		{"excluded", "10.1.2.200", "requested IP address 10.1.2.200 is excluded by 10.1.2.128/25"},
		{"not to be read", "10.1.2.88", "requested IP address 10.1.2.88 cannot be looked up: read address: " + addrPath(dirs, "10.1.2.88") + notOurs + "a directory"},
		{"of no range", "10.9.9.9", "requested IP address 10.9.9.9 is outside of the network's ranges: " + ranges},
		{"two of a range", "10.1.2.5 10.1.2.6", "requested IP address 10.1.2.6 is the second address of one range set: " + p.Sets[0].String()},
	} {
		_, err := reserve(t, dirs, keyFor("c3"), req(strings.Fields(tc.asked)...))
		if !errors.Is(err, ErrRequested) || err.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
	sameFiles(t, dirs.Data, before)
}

// An attachment that is added again gets its previous address if that is free.
func TestPrefer(t *testing.T) {
	dirs := newDirs(t)
	prefer := func(text string) Request {
		return Request{Pool: pool(t, "10.1.2.0/24"), Prefer: []netip.Addr{addr("2001:db8::1"), addr(text)}}
	}
	gives(t, dirs, keyFor("c1"), prefer("10.1.2.50"), "10.1.2.50")
	gives(t, dirs, keyFor("c2"), prefer("10.1.2.50"), "10.1.2.51")
	gives(t, dirs, keyFor("c3"), prefer("10.1.2.1"), "10.1.2.52") // the gateway by now
	gives(t, dirs, keyFor("c4"), prefer("10.9.9.9"), "10.1.2.53") // in no range by now
}

// Sixteen taken addresses are read one by one. Then the directory is read once, and an
// address that has no file is free.
//
// Claim: A torn address file is a free address; files of older host-local versions are removed by their owner; DEL releases only its own
// addresses, where the record says so
func TestManyTaken(t *testing.T) {
	for _, tc := range []struct {
		taken int
		reads bool
	}{{maxProbes - 1, false}, {maxProbes, true}, {100, true}} {
		dirs := newDirs(t)
		n := lockedNetwork(t, dirs)
		for i := range tc.taken {
			put(t, addrPath(dirs, fmt.Sprint("10.1.2.", 2+i)), "old\r\neth0")
		}
		c := &chooser{network: n, req: Request{Pool: pool(t, "10.1.2.0/24")}}
		got, err := c.nextFree(0)
		if want := addr(fmt.Sprint("10.1.2.", 2+tc.taken)); got != want || err != nil {
			t.Errorf("%d taken: got %v, %v, want %v", tc.taken, got, err, want)
		}
		if reads := c.taken != nil; reads != tc.reads {
			t.Errorf("%d taken: the directory was read: %t, want %t", tc.taken, reads, tc.reads)
		}
	}
}

// An empty address file is a free address: its process was killed before it wrote the holder.
//
// Claim: A torn address file is a free address; files of older host-local versions are removed by their owner; DEL releases only its own
// addresses, where the record says so
func TestTornAddressFile(t *testing.T) {
	for _, before := range []int{0, maxProbes + 4} {
		dirs := newDirs(t)
		for i := range before {
			put(t, addrPath(dirs, fmt.Sprint("10.1.2.", 2+i)), "old\r\neth0")
		}
		torn := fmt.Sprint("10.1.2.", 2+before)
		put(t, addrPath(dirs, torn), "\r\n")
		gives(t, dirs, keyFor("c1"), Request{Pool: pool(t, "10.1.2.0/24")}, torn)
		if got := files(t, dirs.Data)["net/"+torn]; got != "c1\r\neth0" {
			t.Errorf("the file holds %q", got)
		}
	}
}

func TestReserveFails(t *testing.T) {
	t.Run("no data directory", func(t *testing.T) {
		dirs := newDirs(t)
		put(t, dirs.Data, "")
		_, err := reserveOnce(t, dirs)
		saysOf(t, err, "not a directory")
		sameFiles(t, dirs.State, map[string]string{dataName: "", "net/c1@eth0.json": ""})
	})
	t.Run("no directory to read", func(t *testing.T) {
		c := &chooser{network: &network{dir: "/nowhere"}, req: Request{Pool: pool(t, "10.1.2.0/24")}, probed: maxProbes}
		_, err := c.nextFree(0)
		saysOf(t, err, "read address directory: open /nowhere: no such file or directory")
	})
}

// TestStickyAfterReboot: an address file of the previous boot does not keep the owner from its address; one of this boot does, and so does one
// that was not asked for.
func TestReleaseStale(t *testing.T) {
	dirs := newDirs(t)
	dirs.Data = filepath.Join(t.TempDir(), "data")
	n := &network{dir: filepath.Join(dirs.Data, "net"), marks: &origin{boot: "the previous boot"}}
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"10.1.2.2", "10.1.2.3"} {
		if err := n.reserve(addr(text), keyFor("before")); err != nil {
			t.Fatal(err)
		}
	}
	n.marks = &origin{boot: BootID()}
	if err := n.reserve(addr("10.1.2.4"), keyFor("current")); err != nil {
		t.Fatal(err)
	}
	if err := n.releaseStale(dirs.State, addrsOf("10.1.2.2", "10.1.2.4")); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]bool{"10.1.2.2": true, "10.1.2.3": false, "10.1.2.4": false} {
		if holder, err := n.holder(addr(text)); err != nil || (holder == "") != want {
			t.Errorf("%s: holder %q, %v; want it free: %t", text, holder, err, want)
		}
	}
}
