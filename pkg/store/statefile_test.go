package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// In a shared directory the modes are those of host-local; in the state directory only root
// has access.
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

// ADD fails if the lock of the addresses is not a regular file; DEL works without it.
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

// An address file that is not a regular file is skipped and kept.
//
// Claim: Symbolic links, directories and pipes in place of state files are not followed and do not block
func TestNoAddressFile(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(t *testing.T, path string)
		kind string
	}{
		{"directory", mkdir, "a directory"},
		{"dangling link", func(t *testing.T, path string) { symlink(t, "nowhere", path) }, "a symbolic link"},
		{"link to /dev/null", func(t *testing.T, path string) { symlink(t, "/dev/null", path) }, "a symbolic link"},
		{"link to an address file", linkToOwner, "a symbolic link"},
		{"named pipe", mkfifo, "a named pipe"},
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
			if got, err := CountFree(dirs, "net", req.Pool, 9); got != 0 || err != nil {
				t.Errorf("CountFree: got %d, %v, want 0", got, err)
			}
			for _, record := range []string{"", "10.1.2.2 10.1.2.3"} {
				putRecord(t, dirs, record)
				release(t, dirs, keyFor("c1"))
			}
			if _, err := os.Lstat(addrPath(dirs, "10.1.2.2")); err != nil {
				t.Errorf("it was deleted: %v", err)
			}
			if _, err := os.Lstat(addrPath(dirs, "10.1.2.3")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the other address was not released: %v", err)
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

// A link at the path of the directory of marks is not followed to read, create or delete marks.
func TestMarksBehindALink(t *testing.T) {
	dirs := Dirs{State: t.TempDir(), Data: t.TempDir()}
	n := &network{dir: filepath.Join(dirs.Data, "net"), marks: &origin{boot: "the previous boot"}}
	mkdir(t, n.dir)
	key, lost := keyFor("c1"), addr("10.1.2.2")
	if err := n.reserve(lost, key); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Rename(filepath.Join(n.dir, marksDir), outside); err != nil {
		t.Fatal(err)
	}
	symlink(t, outside, filepath.Join(n.dir, marksDir))
	before := files(t, outside)
	if got, err := StaleAddresses(dirs, "net", 1); len(got) > 0 || err != nil {
		t.Errorf("stale: %v, %v", got, err)
	}
	if _, err := ReclaimStale(t.Context(), dirs, "net", 1); err != nil {
		t.Errorf("reclaim: %v", err)
	}
	if _, ours := n.marked(lost); ours {
		t.Error("the mark was read")
	}
	saysOf(t, n.reserve(addr("10.1.2.3"), key), "mark address: "+filepath.Join(n.dir, marksDir)+notOurs+"a symbolic link")
	if err := n.release(lost, key); err != nil {
		t.Errorf("release: %v", err)
	}
	sameFiles(t, outside, before)
	sameFiles(t, dirs.Data, map[string]string{"net/" + marksDir: "-> " + outside})
}

// TestUnsafe: state that another user could change is neither read nor written. DEL works without it.
//
// Claim: State that a user other than root could write or replace (`stateDir`, `ipam.dataDir`, their parent directories, single files) is
// refused by ADD and STATUS with the same message; DEL, GC and reload work without it
func TestUnsafe(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chown needs root")
	}
	const user = 4711
	for name, spoil := range map[string]func(t *testing.T, state string){
		"writable by all":            func(t *testing.T, state string) { chmod(t, state, 0o777) },
		"writable by all and sticky": func(t *testing.T, state string) { chmod(t, state, 0o777|os.ModeSticky) },
		"writable by a group":        func(t *testing.T, state string) { chmod(t, state, 0o770) },
		"owned by another user":      func(t *testing.T, state string) { chown(t, state, user) },
		"parent of another user":     func(t *testing.T, state string) { chown(t, filepath.Dir(state), user) },
		"parent writable by all":     func(t *testing.T, state string) { chmod(t, filepath.Dir(state), 0o777) },
		"network's writable by all":  func(t *testing.T, state string) { chmod(t, filepath.Join(state, "net"), 0o777) },
		"network's of another user":  func(t *testing.T, state string) { chown(t, filepath.Join(state, "net"), user) },
	} {
		t.Run(name, func(t *testing.T) {
			dirs := newDirs(t)
			r := newRecord(keyFor("c1"))
			written(t, dirs, r)
			spoil(t, dirs.State)
			if _, err := Open(t.Context(), dirs, keyFor("c2")); !errors.Is(err, ErrUnsafe) {
				t.Errorf("Open: %v", err)
			}
			if err := dirs.Places("net", false, false)[0].Check(); !errors.Is(err, ErrUnsafe) {
				t.Errorf("Check: %v", err)
			}
			entries, err := List(dirs.State)
			if !errors.Is(err, ErrUnsafe) && (len(entries) != 1 || entries[0].Record != nil || !errors.Is(entries[0].Err, ErrUnsafe)) {
				t.Errorf("List: %+v, %v", entries, err)
			}
			a, err := OpenToRemove(t.Context(), dirs, keyFor("c1"))
			if err != nil || a.Record != nil || !errors.Is(a.Broken, ErrUnsafe) {
				t.Fatalf("OpenToRemove: %+v, %v", a, err)
			}
			if err := errors.Join(a.Remove(), a.Close()); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(recordPath(dirs, "c1")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the record is still there: %v", err)
			}
		})
	}
}

// TestFileOfAnother: a record or an address file of another user is not used.
//
// Claim: State that a user other than root could write or replace (`stateDir`, `ipam.dataDir`, their parent directories, single files) is
// refused by ADD and STATUS with the same message; DEL, GC and reload work without it
func TestFileOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chown needs root")
	}
	dirs := newDirs(t)
	written(t, dirs, newRecord(keyFor("c1")))
	chown(t, recordPath(dirs, "c1"), 4711)
	a, err := OpenToRemove(t.Context(), dirs, keyFor("c1"))
	if err != nil || a.Record != nil || !errors.Is(a.Broken, ErrUnreadable) {
		t.Fatalf("a record of user 4711: %+v, %v", a, err)
	}
	closeIt(t, a)
	chown(t, recordPath(dirs, "c1"), 0)
	chmod(t, recordPath(dirs, "c1"), 0o602)
	if a, err = OpenToRemove(t.Context(), dirs, keyFor("c1")); err != nil || a.Record != nil || !errors.Is(a.Broken, ErrUnreadable) {
		t.Fatalf("a record that all users may write: %+v, %v", a, err)
	}
	closeIt(t, a)
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func chown(t *testing.T, path string, uid int) {
	t.Helper()
	if err := os.Chown(path, uid, uid); err != nil {
		t.Fatal(err)
	}
}
