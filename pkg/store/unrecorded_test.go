package store

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// putOld writes address files of network "net" that are one hour old.
func putOld(t *testing.T, d Dirs, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(d.Data, "net", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
}

func left(t *testing.T, d Dirs) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(d.Data, "net"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
	}
	delete(names, "lock")
	return slices.Sorted(maps.Keys(names))
}

func TestAddressHolders(t *testing.T) {
	root := t.TempDir()
	d := Dirs{State: filepath.Join(root, "state"), Data: filepath.Join(root, "data")}
	if owners, err := AddressHolders(d, "net", FileClock()); len(owners) != 0 || err != nil {
		t.Errorf("without a directory: %v, %v", owners, err)
	}
	putOld(t, d, map[string]string{
		"10.1.0.3": "c\r\neth0", "10.1.0.2": "c\r\neth0", "fd00::2": "c\neth1",
		"10.1.0.4": "c", "10.1.0.5": "", "10.1.0.6": "c\r\n", "10.1.0.7": "\r\neth0", "lock": "c\r\neth0", "last_reserved_ip.0": "10.1.0.2",
		"10.1.0.8": "new\r\neth0",
	})
	if err := os.Symlink("10.1.0.2", filepath.Join(d.Data, "net", "10.1.0.9")); err != nil {
		t.Fatal(err)
	}
	now := time.Now().Add(time.Minute)
	if err := os.Chtimes(filepath.Join(d.Data, "net", "10.1.0.8"), now, now); err != nil {
		t.Fatal(err)
	}
	owners, err := AddressHolders(d, "net", FileClock())
	want := map[Key][]netip.Addr{
		{"net", "c", "eth0"}: {netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.1.0.3")},
		{"net", "c", "eth1"}: {netip.MustParseAddr("fd00::2")},
	}
	if diff := cmp.Diff(want, owners, cmpopts.EquateComparable(netip.Addr{})); diff != "" || err != nil {
		t.Errorf("holders: %v (-want +got):\n%s", err, diff)
	}
}

// TestReleaseUnrecorded releases addresses that still name the attachment and have not changed.
func TestReleaseUnrecorded(t *testing.T) {
	root := t.TempDir()
	d := Dirs{State: filepath.Join(root, "state"), Data: filepath.Join(root, "data")}
	putOld(t, d, map[string]string{"10.1.0.2": "c\r\neth0", "10.1.0.3": "c\r\neth0", "10.1.0.4": "other\r\neth0", "10.1.0.5": "c\r\neth0"})
	clock := FileClock()
	if err := os.Chtimes(filepath.Join(d.Data, "net", "10.1.0.3"), clock.Add(time.Second), clock.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	a, err := TryOpenToRemove(d, Key{"net", "c", "eth0"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TryOpenToRemove(d, a.Key); !errors.Is(err, ErrBusy) {
		t.Errorf("second call: %v", err)
	}
	var addrs []netip.Addr
	for _, text := range []string{"10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.9"} {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	if err := a.ReleaseUnrecorded(context.Background(), addrs, clock); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"10.1.0.3", "10.1.0.4", "10.1.0.5"}, left(t, d)); diff != "" {
		t.Errorf("addresses left (-want +got):\n%s", diff)
	}
	if _, err := os.Lstat(d.State); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("state directory: %v", err)
	}
}

// TestFileClock: a file that is written now is not older than the clock, an earlier one is.
func TestFileClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for range 100 {
		before := FileClock()
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.ModTime().Before(before) {
			t.Fatalf("a file of %v is older than %v, %v", info.ModTime(), before, err)
		}
	}
}

// TestPlaceCheck: a file or symbolic link at the path of a state directory is reported.
//
// Claim: State that a user other than root could write or replace (`stateDir`, `ipam.dataDir`, their parent directories, single files) is
// refused by ADD and STATUS with the same message; DEL, GC and reload work without it
func TestPlaceCheck(t *testing.T) {
	root := t.TempDir()
	d := Dirs{State: filepath.Join(root, "state"), Data: filepath.Join(root, "state", "ipam")}
	places := d.Places("net", true, true)
	if len(places) != 3 || len(d.Places("net", false, false)) != 1 {
		t.Fatalf("places: %v", places)
	}
	inTheWay := func(i int, want error) {
		t.Helper()
		if err := places[i].Check(); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", places[i].Path, err, want)
		}
	}
	inTheWay(0, nil)
	inTheWay(1, nil)
	if err := os.MkdirAll(places[0].Path, 0o700); err != nil {
		t.Fatal(err)
	}
	inTheWay(0, nil)
	if err := os.Symlink(root, d.Data); err != nil {
		t.Fatal(err)
	}
	inTheWay(1, ErrIrregular)
	if err := errors.Join(os.Remove(d.Data), os.Remove(places[0].Path), os.WriteFile(places[0].Path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	inTheWay(0, ErrIrregular)
}
