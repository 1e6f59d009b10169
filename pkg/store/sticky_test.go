package store

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// memoryOf is the sticky memory of an owner, in a directory of the test's own.
func memoryOf(dir, owner string) *memory { return &memory{dir: dir, owner: owner} }

func remember(t *testing.T, m *memory, addrs ...string) {
	t.Helper()
	if err := m.remember(addrsOf(addrs...)); err != nil {
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
	if !web1.ofAnother(addr("10.1.2.2")) || web0.ofAnother(addr("10.1.2.2")) || web1.ofAnother(addr("10.1.2.9")) {
		t.Error("10.1.2.2 is remembered for web-0, and 10.1.2.9 for nobody")
	}
	sameFiles(t, dir, map[string]string{
		"owner-default+web-0@eth0": "10.1.2.2\n2001:db8::2\n",
		"ip-10.1.2.2":              "default/web-0@eth0", "ip-2001:db8::2": "default/web-0@eth0",
	})
	sameMode(t, dir, fs.ModeDir|0o700)
	sameMode(t, filepath.Join(dir, "ip-10.1.2.2"), 0o600)

	remember(t, web0, "10.1.2.3", "2001:db8::2") // another address: the old one is forgotten
	remembers(t, web0, "10.1.2.3", "2001:db8::2")
	remember(t, web1, "10.1.2.3") // given to another when nothing else was left
	remembers(t, web0, "2001:db8::2")
	remembers(t, web1, "10.1.2.3")
	remember(t, web0, "10.1.2.4") // what another has by now is not forgotten with ours
	sameFiles(t, dir, map[string]string{
		"owner-default+web-0@eth0": "10.1.2.4\n", "ip-10.1.2.4": "default/web-0@eth0",
		"owner-default+web-1@eth0": "10.1.2.3\n", "ip-10.1.2.3": "default/web-1@eth0",
	})
}

// No memory remembers nothing and is in nobody's way.
func TestNoMemory(t *testing.T) {
	var none *memory
	remember(t, none, "10.1.2.2")
	if none.addresses() != nil || none.ofAnother(addr("10.1.2.2")) {
		t.Errorf("got %v, %t", none.addresses(), none.ofAnother(addr("10.1.2.2")))
	}
}

// After a crash between the two files of a memory, all is as before.
func TestMemoryHalfWritten(t *testing.T) {
	dir := t.TempDir()
	m := memoryOf(dir, "web@eth0")
	remember(t, m, "10.1.2.2")
	put(t, filepath.Join(dir, "ip-10.1.2.3"), m.owner)
	remembers(t, m, "10.1.2.2")
	put(t, filepath.Join(dir, "owner-web@eth0"), "10.1.2.2\nnonsense\n10.1.2.9\n")
	remembers(t, m, "10.1.2.2")
}

// Names that are too long for a file's name are told apart by their end all the same.
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

// A file is replaced whole, and one that says the same already is not touched.
func TestWriteDurably(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	inode := func() fs.FileInfo {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	var before fs.FileInfo
	for i, text := range []string{"one", "one", "two"} {
		if err := writeDurably(path, text); err != nil {
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

func TestMemoryFails(t *testing.T) {
	t.Run("no directory", func(t *testing.T) {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "file"), "")
		err := memoryOf(filepath.Join(dir, "file/net"), "web@eth0").remember(addrsOf("10.1.2.2"))
		saysOf(t, err, "not a directory")
	})
	for _, name := range []string{"ip-10.1.2.2", "owner-web@eth0"} {
		t.Run("cannot replace "+name, func(t *testing.T) {
			dir := t.TempDir()
			m := memoryOf(dir, "web@eth0")
			put(t, filepath.Join(dir, name)+"/x", "")
			err := m.remember(addrsOf("10.1.2.2"))
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
			err := memoryOf(dir, "web@eth0").remember(addrsOf("10.1.2.2"))
			saysOf(t, err, name+tempSuffix+notOurs+"a symbolic link")
			if got := files(t, target)["."]; got != "text" {
				t.Errorf("the link's target holds %q", got)
			}
		})
	}
}

// An owner finds its address again, others leave it alone as long as there is another one.
func TestChooseWithMemory(t *testing.T) {
	dirs, dir := newDirs(t), t.TempDir()
	n := lockedNetwork(t, dirs)
	choose := func(owner string, want string) {
		t.Helper()
		c := &chooser{network: n, req: Request{Pool: pool(t, "10.1.2.0/29 10.1.2.2 10.1.2.4")}, memory: memoryOf(dir, owner)}
		got, err := c.all()
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
	choose("c", "10.1.2.2") // rather somebody else's than none
	put(t, addrPath(dirs, "10.1.2.3"), "c3\r\neth0")
	choose("a", "10.1.2.2") // its own is taken
	put(t, addrPath(dirs, "10.1.2.2"), "c2\r\neth0")
	c := &chooser{network: n, req: Request{Pool: pool(t, "10.1.2.0/29 10.1.2.2 10.1.2.4")}, memory: memoryOf(dir, "a")}
	if _, err := c.all(); !errors.Is(err, ErrExhausted) {
		t.Errorf("got %v, want ErrExhausted", err)
	}
}

// TestMemoryIsForgotten: of one owner, and of nothing that somebody else has had since.
func TestMemoryIsForgotten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sticky/net")
	one, two := memoryOf(dir, "one@eth0"), memoryOf(dir, "two@eth0")
	if err := one.forget(); err != nil {
		t.Errorf("before anything was remembered: %v", err)
	}
	remember(t, one, "10.1.2.2", "10.1.2.3")
	remember(t, two, "10.1.2.3", "10.1.2.4")
	for range 2 {
		if err := one.forget(); err != nil {
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
