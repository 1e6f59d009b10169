package store

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// Claim: After a reboot only addresses with Patchbay's own mark are released, and none that a live attachment has
func TestOriginIsPrevious(t *testing.T) {
	now := origin{boot: "b2", instance: "l2", host: 2}
	for name, tc := range map[string]struct {
		was, now origin
		want     bool
	}{
		"same":                        {now, now, false},
		"another boot":                {origin{"b1", "l2", 2}, now, true},
		"another boot, rest unknown":  {origin{boot: "b1"}, origin{boot: "b2"}, true},
		"node in a container":         {origin{"b2", "l1", 1}, now, true},
		"state directory deleted":     {origin{"b2", "l1", 2}, now, false},
		"another namespace, same dir": {origin{"b2", "l2", 1}, now, false},
		"namespace not in the mark":   {origin{"b2", "l1", 0}, now, false},
		"namespace not known now":     {origin{"b2", "l1", 1}, origin{"b2", "l2", 0}, false},
		"instance ID not known now":   {origin{"b2", "l1", 1}, origin{"b2", "", 2}, false},
		"boot not in the mark":        {origin{"", "l1", 1}, now, false},
		"boot not known now":          {origin{"b1", "l1", 1}, origin{"", "l2", 2}, false},
	} {
		if got := tc.was.isPrevious(tc.now); got != tc.want {
			t.Errorf("%s: isPrevious returned %t", name, got)
		}
	}
}

func TestParseMark(t *testing.T) {
	for _, m := range []mark{
		{origin{"b-1", "l", 0xabc}, fileID{7, -5}}, {origin{"", "", 0}, fileID{1, 0}}, {origin{"b", "l", 1<<64 - 1}, fileID{1<<64 - 1, 1<<63 - 1}},
	} {
		if got, ok := parseMark(m.String()); !ok || got != m {
			t.Errorf("%s was parsed as %v, %t", m, got, ok)
		}
	}
	for _, text := range []string{"", "b", "b.l.1.7", "b.l.1.7.8.9", "b.l.x.7.8", "b.l.1.x.8", "b.l.1.7.x", "b.l.1.0.8", "b.l.-1.7.8", "id\r\neth0"} {
		if m, ok := parseMark(text); ok {
			t.Errorf("%q was parsed as %v", text, m)
		}
	}
}

func TestDataInState(t *testing.T) {
	for _, tc := range []struct {
		state, data string
		want        bool
	}{
		{"/s", "/s/ipam", true},
		{"/s", "/s", true},
		{"/s/", "/s//a/../b", true},
		{"/s", "/s/..ipam", true},
		{"/s", "/state", false},
		{"/s", "/s/../d", false},
		{"/s/t", "/s", false},
		{"/s", "/", false},
	} {
		if got := (Dirs{State: tc.state, Data: tc.data}).dataInState(); got != tc.want {
			t.Errorf("%s in %s: %t", tc.data, tc.state, got)
		}
	}
}

func TestInstanceIDStays(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	first, err := instanceID(dir)
	if err != nil || len(first) != 16 {
		t.Fatalf("instance ID %q, %v", first, err)
	}
	again, _ := instanceID(dir)
	another, _ := instanceID(other)
	if again != first || another == first {
		t.Errorf("instance ID %q, again %q, of another directory %q", first, again, another)
	}
	if life, err := instanceID(filepath.Join(dir, "missing")); err == nil {
		t.Errorf("instance ID of a missing directory: %q", life)
	}
}

// marking returns a network with marks in a directory that does not exist yet.
func marking(t *testing.T, now origin) *network {
	t.Helper()
	n := &network{dir: filepath.Join(t.TempDir(), "net"), marks: &now}
	if err := os.Mkdir(n.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return n
}

func dirNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// Claim: After a reboot only addresses with Patchbay's own mark are released, and none that a live attachment has
func TestMarkIsAboutOneFile(t *testing.T) {
	n := marking(t, origin{"b1", "l1", 1})
	addr, key := netip.MustParseAddr("10.1.0.2"), Key{"net", "c", "eth0"}
	if err := n.reserve(addr, key); err != nil {
		t.Fatal(err)
	}
	if m, ours := n.marked(addr); !ours || m.origin != *n.marks {
		t.Errorf("mark %v, %t", m, ours)
	}
	nextTick(t)
	// Another program releases the address and reserves it for the same container.
	if err := os.Remove(n.path(addr)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.path(addr), []byte(holderText(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, ours := n.marked(addr); ours {
		t.Errorf("%v is accepted as the mark of another file", m)
	}
	if err := n.releaseMarked(addr, key); err != nil {
		t.Fatal(err)
	}
	if text, _ := n.holder(addr); text == "" {
		t.Error("an address without a mark of its file was released")
	}
	if err := n.release(addr, key); err != nil { // DEL of the container releases it
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{}, dirNames(t, n.dir)); diff != "" {
		t.Error(diff)
	}
}

// nextTick waits until the clock of file times has advanced: an inode number may be reused at once.
func nextTick(t *testing.T) {
	t.Helper()
	coarse := func() (ts unix.Timespec) {
		if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &ts); err != nil {
			t.Fatal(err)
		}
		return ts
	}
	for before := coarse(); coarse() == before; {
		runtime.Gosched()
	}
}

// TestTakeReplacesLeftovers: an ADD killed at any step leaves an empty file, with its mark or an older one.
//
// Claim: After a reboot only addresses with Patchbay's own mark are released, and none that a live attachment has
func TestTakeReplacesLeftovers(t *testing.T) {
	n := marking(t, origin{"b2", "l2", 2})
	addr, key := netip.MustParseAddr("fd00::2"), Key{"net", "c", "eth0"}
	for _, target := range []string{"", "b1.l1.1.7.8", "unknown"} {
		if target != "" {
			if err := os.MkdirAll(n.dir+"/.patchbay", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, n.markPath(addr)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(n.path(addr), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := n.reserve(addr, key); err != nil {
			t.Fatal(err)
		}
		if m, ours := n.marked(addr); !ours || m.origin != *n.marks {
			t.Errorf("after %q: mark %v, %t", target, m, ours)
		}
		if err := n.removeFile(addr); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMarkComesBeforeTheOwner: if the mark cannot be created, no address is reserved.
func TestMarkComesBeforeTheOwner(t *testing.T) {
	n := marking(t, origin{"b1", "l1", 1})
	if err := os.WriteFile(n.dir+"/.patchbay", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr("10.1.0.2")
	if err := n.reserve(addr, Key{"net", "c", "eth0"}); err == nil {
		t.Error("an address was reserved without a mark")
	}
	if diff := cmp.Diff([]string{".patchbay"}, dirNames(t, n.dir)); diff != "" {
		t.Error(diff)
	}
}

// TestReclaimStale: addresses of a record, of host-local's older form and of this boot stay.
func TestReclaimStale(t *testing.T) {
	root := t.TempDir()
	dirs := Dirs{State: filepath.Join(root, "state"), Data: filepath.Join(root, "data")}
	n := &network{dir: filepath.Join(dirs.Data, "net"), marks: &origin{boot: "the previous boot"}}
	for _, dir := range []string{n.dir, filepath.Join(dirs.State, "net")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	take := func(text, id string) netip.Addr {
		addr := netip.MustParseAddr(text)
		if err := n.reserve(addr, Key{"net", id, "eth0"}); err != nil {
			t.Fatal(err)
		}
		return addr
	}
	lost := take("10.1.0.2", "lost")
	take("10.1.0.3", "recorded")
	older, again := take("10.1.0.4", "older"), take("10.1.0.7", "again")
	n.marks = &origin{boot: BootID()}
	take("10.1.0.5", "current")
	n.marks = nil
	take("10.1.0.6", "unmarked")
	record := func(id, address string) {
		writeText(t, filepath.Join(dirs.State, "net", id+"@eth0.json"),
			fmt.Sprintf(`{"version": 1, "network": "net", "containerID": %q, "ifname": "eth0", "addresses": [{"address": %q}]}`, id, address))
	}
	record("recorded", "10.1.0.3/24")
	record("again", "10.1.0.8/24") // of a container that was added again with another address
	writeText(t, n.path(older), "older")
	if err := os.Symlink("b1.l1.1.7.8", n.markPath(netip.MustParseAddr("10.1.0.9"))); err != nil {
		t.Fatal(err)
	}
	want := []netip.Addr{lost, again}
	if got, err := StaleAddresses(dirs, "net", 1); err != nil || cmp.Diff(want, got, byAddress()) != "" {
		t.Errorf("stale: %v, %v", got, err)
	}
	if got, err := ReclaimStale(t.Context(), dirs, "net", 1); err != nil || cmp.Diff(want, got, byAddress()) != "" {
		t.Errorf("reclaimed: %v, %v", got, err)
	}
	files, left := []string{".patchbay", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6", "lock"}, []string{"10.1.0.3", "10.1.0.4", "10.1.0.5"}
	if diff := cmp.Diff([][]string{files, left}, [][]string{dirNames(t, n.dir), dirNames(t, n.dir+"/.patchbay")}); diff != "" {
		t.Error(diff)
	}
}

func byAddress() cmp.Option {
	return cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReclaimableLooksAtTheLock: Reclaimable respects the record's lock and releases its own.
func TestReclaimableLooksAtTheLock(t *testing.T) {
	root := t.TempDir()
	dirs := Dirs{State: root, Data: filepath.Join(root, "ipam")}
	a, err := Open(t.Context(), dirs, Key{"net", "c", "eth0"})
	if err != nil {
		t.Fatal(err)
	}
	r := &Record{Version: RecordVersion(), Network: "net", ContainerID: "c", IfName: "eth0", DataDir: dirs.Data}
	addr := netip.MustParseAddr("10.1.0.2")
	r.Addresses = []Address{{Address: netip.PrefixFrom(addr, 24)}}
	n, err := openNetwork(t.Context(), dirs, "net")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.reserve(addr, a.Key); err != nil {
		t.Fatal(err)
	}
	n.close()
	if err := a.Save(r); err != nil {
		t.Fatal(err)
	}
	if got := Reclaimable(dirs, r); len(got) != 0 {
		t.Errorf("locked record: %v", got)
	}
	a.unlock()
	if got := Reclaimable(dirs, r); len(got) != 1 || got[0] != addr {
		t.Errorf("unlocked record: %v", got)
	}
	f, err := os.Open(a.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("the lock afterwards: %v", err)
	}
}

// TestReclaimLast: the directory of marks is deleted with the last one, which is no error.
func TestReclaimLast(t *testing.T) {
	root := t.TempDir()
	dirs := Dirs{State: filepath.Join(root, "state"), Data: filepath.Join(root, "data")}
	n := &network{dir: filepath.Join(dirs.Data, "net"), marks: &origin{boot: "the previous boot"}}
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := n.reserve(netip.MustParseAddr("10.1.0.2"), Key{"net", "lost", "eth0"}); err != nil {
		t.Fatal(err)
	}
	if got, err := ReclaimStale(t.Context(), dirs, "net", 1); err != nil || len(got) != 1 {
		t.Errorf("reclaimed: %v, %v", got, err)
	}
}
