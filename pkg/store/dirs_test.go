package store

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

// sharedDirs returns the directories of a network without dataDir, with host-local's as Shared.
func sharedDirs(t *testing.T) Dirs {
	t.Helper()
	dirs := newDirs(t)
	dirs.Shared = filepath.Join(t.TempDir(), "networks")
	return dirs
}

func (d Dirs) sharedPath(name string) string { return filepath.Join(d.Shared, "net", name) }

// New addresses go to host-local's directory of the network, unless Data has some.
//
// Claim: A network that is migrated by two words gives no address twice: host-local's directory of the network counts without a key
func TestPlaces(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files func(Dirs) []string
		want  []string // first places
	}{
		{"no directory of host-local", func(Dirs) []string { return nil }, []string{"own"}},
		{"directory of another network", func(d Dirs) []string { return []string{filepath.Join(d.Shared, "other", "lock")} }, []string{"own"}},
		{"directory without addresses", func(d Dirs) []string { return []string{d.sharedPath("lock")} }, []string{"shared"}},
		{"directory with addresses", func(d Dirs) []string { return []string{d.sharedPath("10.1.2.2")} }, []string{"shared"}},
		{"last address in Data released", func(d Dirs) []string { return []string{d.sharedPath("10.1.2.2"), addrPath(d, "lock")} }, []string{"shared", "own"}},
		{"an address in Data", func(d Dirs) []string { return []string{d.sharedPath("10.1.2.2"), addrPath(d, "10.1.2.3")} }, []string{"own", "shared"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dirs := sharedDirs(t)
			for _, path := range tc.files(dirs) {
				put(t, path, "c1\r\neth0")
			}
			var got []string
			for _, place := range dirs.places("net") {
				got = append(got, map[string]string{dirs.Data: "own", dirs.Shared: "shared"}[place.Data])
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("places %v, want %v", got, tc.want)
			}
		})
	}
}

// Addresses in both directories are taken, and each is found by its attachment's key.
//
// Claim: A network that is migrated by two words gives no address twice: host-local's directory of the network counts without a key
func TestBothPlacesCount(t *testing.T) {
	for name, ours := range map[string]string{"new ones go to host-local's": "", "new ones stay": "10.1.2.2"} {
		t.Run(name, func(t *testing.T) {
			dirs, shared := sharedDirs(t), "10.1.2.3"
			if ours == "" {
				shared = "10.1.2.2"
			} else {
				put(t, addrPath(dirs, ours), "c1\r\neth0")
			}
			put(t, dirs.sharedPath(shared), "c2\r\neth0")
			small := pool(t, "10.1.2.0/29") // .2 to .6
			free, err := CountFree(dirs, "net", small, 9)
			if want := 5 - len(slices.DeleteFunc([]string{ours, shared}, func(s string) bool { return s == "" })); err != nil || free != want {
				t.Errorf("%d addresses are free, %v, want %d", free, err, want)
			}
			r := reserveOne(t, dirs, "c3", small)
			if got := r.Addresses[0].Address.Addr().String(); got == ours || got == shared {
				t.Errorf("c3 got %s, which is taken", got)
			}
			if want := map[bool]string{true: dirs.Shared, false: dirs.Data}[ours == ""]; r.DataDir != want {
				t.Errorf("the address of c3 is in %s, want %s", r.DataDir, want)
			}
			owners, err := AddressHolders(dirs, "net", time.Now().Add(time.Hour))
			if err != nil || len(owners[keyFor("c2")]) != 1 || len(owners[keyFor("c3")]) != 1 {
				t.Errorf("holders %v, %v", owners, err)
			}
			a := open(t, dirs, keyFor("c2"))
			if held, err := a.HeldAddresses(); err != nil || len(held) != 1 {
				t.Errorf("c2 holds %v, %v", held, err)
			}
			if err := a.Release(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(dirs.sharedPath(shared)); !os.IsNotExist(err) {
				t.Errorf("the file of c2 is still there: %v", err)
			}
		})
	}
}

// A pool is exhausted if the addresses in both directories fill it.
//
// Claim: A network that is migrated by two words gives no address twice: host-local's directory of the network counts without a key
func TestFullOfBothPlaces(t *testing.T) {
	dirs := sharedDirs(t)
	put(t, addrPath(dirs, "10.1.2.2"), "c1\r\neth0")
	put(t, dirs.sharedPath("10.1.2.3"), "c2\r\neth0")
	a := open(t, dirs, keyFor("c3"))
	err := a.Reserve(t.Context(), newRecord(a.Key), Request{Pool: pool(t, "10.1.2.0/29 10.1.2.2 10.1.2.3")})
	if err == nil {
		t.Error("an exhausted pool provided an address")
	}
	if free, err := CountFree(dirs, "net", pool(t, "10.1.2.0/29 10.1.2.2 10.1.2.3"), 9); free != 0 || err != nil {
		t.Errorf("%d addresses are free, %v", free, err)
	}
}

// host-local creates its directory while ADD waits for the lock of Data: the address goes there.
func TestSharedAppearsMeanwhile(t *testing.T) {
	dirs := sharedDirs(t)
	put(t, addrPath(dirs, "lock"), "")
	before := dirs.places("net")
	put(t, dirs.sharedPath("10.1.2.2"), "c2\r\neth0")
	if now := dirs.places("net"); slices.Equal(before, now) {
		t.Fatalf("places are still %v", now)
	}
	n, err := openNetwork(t.Context(), dirs, "net")
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	if n.place.Data != dirs.Shared || n.second == nil {
		t.Errorf("locked for %s, with another directory: %t", n.place.Data, n.second != nil)
	}
}

// A directory that this user may not write to belongs to another user and does not count.
func TestIsWritable(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/nowhere", link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{dir: true, filepath.Join(dir, "none"): false, filepath.Join(dir, "none", "deeper"): false, link: true} {
		if got := isWritable(path); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
	if os.Geteuid() != 0 && isWritable("/") {
		t.Error("/ counts for a user who may not write there")
	}
}

func reserveOne(t *testing.T, dirs Dirs, id string, p ipam.Pool) *Record {
	t.Helper()
	a := open(t, dirs, keyFor(id))
	r := newRecord(a.Key)
	if err := a.Reserve(t.Context(), r, Request{Pool: p}); err != nil {
		t.Fatal(err)
	}
	closeIt(t, a)
	return r
}
