package store

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// memoryOf returns the sticky memory of an owner in a test directory.
func memoryOf(dir, owner string) *memory { return &memory{dir: dir, owner: owner} }

func remember(t *testing.T, m *memory, addrs ...string) {
	t.Helper()
	if err := m.save(addrsOf(addrs...)); err != nil {
		t.Fatal(err)
	}
}

func addrsOf(texts ...string) []netip.Addr {
	var addrs []netip.Addr
	for _, text := range texts {
		addrs = append(addrs, addr(text))
	}
	return addrs
}

func remembers(t *testing.T, m *memory, want ...string) {
	t.Helper()
	if diff := cmp.Diff(addrsOf(want...), m.addresses(), netips()); diff != "" {
		t.Errorf("addresses of %s (-want +got):\n%s", m.owner, diff)
	}
}

func TestOpenMemory(t *testing.T) {
	key := Key{Network: "net", ContainerID: "c1", IfName: "eth1"}
	want := memory{dir: "/var/lib/patchbay/sticky/net", owner: "default/web-0@eth1"}
	if got := openMemory(key, "default/web-0"); *got != want {
		t.Errorf("got %+v, want %+v", *got, want)
	}
	if got := openMemory(key, ""); got != nil {
		t.Errorf("without an owner: got %+v", got)
	}
}

func TestMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sticky/net")
	web0, web1 := memoryOf(dir, "default/web-0@eth0"), memoryOf(dir, "default/web-1@eth0")
	remembers(t, web0)
	remember(t, web0, "10.1.2.2", "2001:db8::2")
	remembers(t, web0, "10.1.2.2", "2001:db8::2")
	remembers(t, web1)
	if !web1.heldForOther(addr("10.1.2.2")) || web0.heldForOther(addr("10.1.2.2")) || web1.heldForOther(addr("10.1.2.9")) {
		t.Error("want 10.1.2.2 remembered for web-0 only, and 10.1.2.9 for no owner")
	}
	sameFiles(t, dir, map[string]string{
		"owner-default+web-0@eth0": "10.1.2.2\n2001:db8::2\n",
		"ip-10.1.2.2":              "default/web-0@eth0", "ip-2001:db8::2": "default/web-0@eth0",
	})
	sameMode(t, dir, fs.ModeDir|0o700)
	sameMode(t, filepath.Join(dir, "ip-10.1.2.2"), 0o600)

	remember(t, web0, "10.1.2.3", "2001:db8::2") // replaces 10.1.2.2
	remembers(t, web0, "10.1.2.3", "2001:db8::2")
	remember(t, web1, "10.1.2.3") // reserved for another owner when no other address was left
	remembers(t, web0, "2001:db8::2")
	remembers(t, web1, "10.1.2.3")
	remember(t, web0, "10.1.2.4") // keeps what is remembered for another owner by now
	sameFiles(t, dir, map[string]string{
		"owner-default+web-0@eth0": "10.1.2.4\n", "ip-10.1.2.4": "default/web-0@eth0",
		"owner-default+web-1@eth0": "10.1.2.3\n", "ip-10.1.2.3": "default/web-1@eth0",
	})
}

// TestMemoryOfQuotedOwners: owners whose names differ in a slash and a plus sign have a file each.
//
// Claim: Sticky addresses keep owners apart whatever characters their names hold; two live pods of one name have separate addresses
func TestMemoryOfQuotedOwners(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sticky/net")
	owners := []string{`"a/b"/"c"@eth0`, `"a+b"/"c"@eth0`, `"a"/"b/c"@eth0`, `"` + strings.Repeat("a/", 200) + `"/"c"@eth0`, `"` + strings.Repeat("a/", 200) + `"/"d"@eth0`}
	for i, owner := range owners {
		remember(t, memoryOf(dir, owner), fmt.Sprintf("10.1.2.%d", i+2))
	}
	for i, owner := range owners {
		remembers(t, memoryOf(dir, owner), fmt.Sprintf("10.1.2.%d", i+2))
	}
}

// The nil memory remembers nothing and returns no errors.
func TestNoMemory(t *testing.T) {
	var none *memory
	remember(t, none, "10.1.2.2")
	if none.addresses() != nil || none.heldForOther(addr("10.1.2.2")) {
		t.Errorf("got %v, %t", none.addresses(), none.heldForOther(addr("10.1.2.2")))
	}
}

// A crash between the writes of the two files leaves the old memory, and holds the new address for no owner.
func TestMemoryHalfWritten(t *testing.T) {
	dir := t.TempDir()
	m, other := memoryOf(dir, "web@eth0"), memoryOf(dir, "db@eth0")
	remember(t, m, "10.1.2.2")
	put(t, filepath.Join(dir, "ip-10.1.2.3"), m.owner)
	remembers(t, m, "10.1.2.2")
	if !other.heldForOther(addr("10.1.2.2")) || other.heldForOther(addr("10.1.2.3")) {
		t.Error("want 10.1.2.2 held for web, and 10.1.2.3 for no owner")
	}
	put(t, filepath.Join(dir, "owner-web@eth0"), "10.1.2.2\nnonsense\n10.1.2.9\n")
	remembers(t, m, "10.1.2.2")
}

// Names too long for a file name end in a hash that keeps them apart.
func TestMemoryOfLongNames(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("x", 253)
	a, b := memoryOf(dir, long+"a@eth0"), memoryOf(dir, long+"b@eth0")
	remember(t, a, "10.1.2.2")
	remember(t, b, "10.1.2.3")
	remembers(t, a, "10.1.2.2")
	remembers(t, b, "10.1.2.3")
	for name := range files(t, dir) {
		if len(name) > 255-len(tempSuffix) {
			t.Errorf("%d bytes are too long for a file's name: %s", len(name), name)
		}
	}
}

// A file is replaced completely, and one with the same content is not written.
func TestReplaceDurably(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	inode := func() fs.FileInfo {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	var before fs.FileInfo
	for i, text := range []string{"one", "one", "two"} {
		if err := replaceDurably(dir, []newFile{{path, text}}); err != nil {
			t.Fatal(err)
		}
		if got := files(t, path)["."]; got != text {
			t.Errorf("it holds %q, want %q", got, text)
		}
		if i > 0 && os.SameFile(before, inode()) != (i == 1) {
			t.Errorf("write %d: the same file as before: %t", i, i != 1)
		}
		before = inode()
	}
}

// Claim: Symbolic links, directories and pipes in place of state files are not followed and do not block
func TestMemoryFails(t *testing.T) {
	t.Run("no directory", func(t *testing.T) {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "file"), "")
		err := memoryOf(filepath.Join(dir, "file/net"), "web@eth0").save(addrsOf("10.1.2.2"))
		saysOf(t, err, "not a directory")
	})
	for _, name := range []string{"ip-10.1.2.2", "owner-web@eth0"} {
		t.Run("cannot replace "+name, func(t *testing.T) {
			dir := t.TempDir()
			m := memoryOf(dir, "web@eth0")
			put(t, filepath.Join(dir, name)+"/x", "")
			err := m.save(addrsOf("10.1.2.2"))
			saysOf(t, err, "file exists")
			if _, found := files(t, dir)[name+tempSuffix]; found {
				t.Error("the temporary file is left")
			}
			remembers(t, m)
		})
		t.Run("a link for the temporary file of "+name, func(t *testing.T) {
			dir := t.TempDir()
			target := filepath.Join(t.TempDir(), "target")
			put(t, target, "text")
			symlink(t, target, filepath.Join(dir, name)+tempSuffix)
			err := memoryOf(dir, "web@eth0").save(addrsOf("10.1.2.2"))
			saysOf(t, err, name+tempSuffix+notOurs+"a symbolic link")
			if got := files(t, target)["."]; got != "text" {
				t.Errorf("the link's target holds %q", got)
			}
		})
	}
}

// An owner gets its address again; others get it only if no other one is left.
func TestChooseWithMemory(t *testing.T) {
	dirs, dir := newDirs(t), t.TempDir()
	n := lockedNetwork(t, dirs)
	choose := func(owner string, want string) {
		t.Helper()
		c := &chooser{network: n, req: Request{Pool: pool(t, "10.1.2.0/29 10.1.2.2 10.1.2.4")}, memory: memoryOf(dir, owner)}
		got, err := c.choose()
		if err != nil || len(got) != 1 || got[0] != addr(want) {
			t.Errorf("%s: got %v, %v, want %s", owner, got, err, want)
		}
	}
	remember(t, memoryOf(dir, "a"), "10.1.2.3")
	choose("a", "10.1.2.3")
	choose("b", "10.1.2.2")
	remember(t, memoryOf(dir, "b"), "10.1.2.2")
	choose("c", "10.1.2.4")
	put(t, addrPath(dirs, "10.1.2.4"), "c4\r\neth0")
	choose("c", "10.1.2.2") // remembered for another owner, but the last one
	put(t, addrPath(dirs, "10.1.2.3"), "c3\r\neth0")
	choose("a", "10.1.2.2") // its own is taken
	put(t, addrPath(dirs, "10.1.2.2"), "c2\r\neth0")
	c := &chooser{network: n, req: Request{Pool: pool(t, "10.1.2.0/29 10.1.2.2 10.1.2.4")}, memory: memoryOf(dir, "a")}
	if _, err := c.choose(); !errors.Is(err, ErrExhausted) {
		t.Errorf("got %v, want ErrExhausted", err)
	}
}

// TestDeleteSticky: one owner's addresses are deleted, except those another owner has had since.
//
// Claim: An LXC container keeps address and MAC over stop and start, a reboot from inside and a kill, until it is destroyed; a runtime's
// GC keeps it
func TestDeleteSticky(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sticky/net")
	one, two := memoryOf(dir, "one@eth0"), memoryOf(dir, "two@eth0")
	if err := one.delete(); err != nil {
		t.Errorf("without a memory: %v", err)
	}
	remember(t, one, "10.1.2.2", "10.1.2.3")
	remember(t, two, "10.1.2.3", "10.1.2.4")
	for range 2 {
		if err := one.delete(); err != nil {
			t.Error(err)
		}
	}
	remembers(t, one)
	remembers(t, two, "10.1.2.3", "10.1.2.4")
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 {
		t.Errorf("left: %v, %v", left, err)
	}
}
