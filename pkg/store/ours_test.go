package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// In a directory that is shared modes are host-local's too; in the state directory nobody but
// root sees them.
func TestAddressModes(t *testing.T) {
	for _, shared := range []bool{false, true} {
		dirs, dir := newDirs(t), os.ModeDir|0o700
		if shared {
			dirs, dir = Dirs{State: dirs.State, Data: filepath.Join(t.TempDir(), "networks")}, os.ModeDir|0o755
		}
		gives(t, dirs, keyFor("c1"), Request{Pool: pool(t, "10.1.2.0/24")}, "10.1.2.2")
		for _, path := range []string{dirs.Data, filepath.Join(dirs.Data, "net")} {
			sameMode(t, path, dir)
		}
		for _, name := range []string{"10.1.2.2", "last_reserved_ip.0", "lock"} {
			sameMode(t, addrPath(dirs, name), 0o600)
		}
	}
}

// What is no file in the place of the addresses' lock stops an ADD, and no DEL.
func TestNoAddressLock(t *testing.T) {
	for _, record := range []string{"", "10.1.2.2"} {
		dirs := newDirs(t)
		mkdir(t, addrPath(dirs, "lock"))
		put(t, addrPath(dirs, "10.1.2.2"), "c1\r\neth0")
		put(t, addrPath(dirs, "10.1.2.3"), "c2\r\neth0")
		_, err := reserve(t, dirs, keyFor("c3"), Request{Pool: pool(t, "10.1.2.0/24")})
		saysOf(t, err, "open address lock: "+addrPath(dirs, "lock")+notOurs+"a directory")
		putRecord(t, dirs, record)
		release(t, dirs, keyFor("c1"))
		sameFiles(t, dirs.Data, map[string]string{"net/10.1.2.3": "c2\r\neth0"})
	}
}

// What is no file in the place of an address file is in nobody's way: it is passed over, and
// left where it is.
func TestNoAddressFile(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(t *testing.T, path string)
		kind string
	}{
		{"a directory", mkdir, "a directory"},
		{"a dangling link", func(t *testing.T, path string) { symlink(t, "nowhere", path) }, "a symbolic link"},
		{"a link to nothing", func(t *testing.T, path string) { symlink(t, "/dev/null", path) }, "a symbolic link"},
		{"a link to our text", linkToOwner, "a symbolic link"},
		{"a pipe", mkfifo, "a named pipe"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dirs, req := newDirs(t), Request{Pool: pool(t, "10.1.2.0/29 10.1.2.2 10.1.2.3")}
			mkdir(t, filepath.Join(dirs.Data, "net"))
			tc.make(t, addrPath(dirs, "10.1.2.2"))
			gives(t, dirs, keyFor("c1"), req, "10.1.2.3")
			_, err := reserve(t, dirs, keyFor("c2"), req)
			if !errors.Is(err, ErrExhausted) {
				t.Errorf("got %v, want ErrExhausted", err)
			}
			saysOf(t, err, "read address: "+addrPath(dirs, "10.1.2.2")+notOurs+tc.kind)
			if got, err := Free(dirs, "net", req.Pool, 9); got != 0 || err != nil {
				t.Errorf("Free: got %d, %v, want 0", got, err)
			}
			for _, record := range []string{"", "10.1.2.2 10.1.2.3"} {
				putRecord(t, dirs, record)
				release(t, dirs, keyFor("c1"))
			}
			if _, err := os.Lstat(addrPath(dirs, "10.1.2.2")); err != nil {
				t.Errorf("it is not there any more: %v", err)
			}
			if _, err := os.Lstat(addrPath(dirs, "10.1.2.3")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the address beside it was not freed: %v", err)
			}
		})
	}
}

func linkToOwner(t *testing.T, path string) {
	target := filepath.Join(t.TempDir(), "target")
	put(t, target, "c1\r\neth0")
	symlink(t, target, path)
}

func mkfifo(t *testing.T, path string) {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A link in the place of the directory of marks is not followed, to read, make or remove one.
func TestMarksBehindALink(t *testing.T) {
	dirs := Dirs{State: t.TempDir(), Data: t.TempDir()}
	n := &network{dir: filepath.Join(dirs.Data, "net"), marks: &origin{boot: "an earlier one"}}
	mkdir(t, n.dir)
	key, lost := keyFor("c1"), addr("10.1.2.2")
	if err := n.take(lost, key); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Rename(filepath.Join(n.dir, marksDir), outside); err != nil {
		t.Fatal(err)
	}
	symlink(t, outside, filepath.Join(n.dir, marksDir))
	before := files(t, outside)
	if got, err := Lost(dirs, "net", 1); len(got) > 0 || err != nil {
		t.Errorf("lost: %v, %v", got, err)
	}
	if _, err := ReclaimLost(t.Context(), dirs, "net", 1); err != nil {
		t.Errorf("reclaim: %v", err)
	}
	if _, ours := n.marked(lost); ours {
		t.Error("the mark was read")
	}
	saysOf(t, n.take(addr("10.1.2.3"), key), "mark address: "+filepath.Join(n.dir, marksDir)+notOurs+"a symbolic link")
	if err := n.give(lost, key); err != nil {
		t.Errorf("give: %v", err)
	}
	sameFiles(t, outside, before)
	sameFiles(t, dirs.Data, map[string]string{"net/" + marksDir: "-> " + outside})
}
