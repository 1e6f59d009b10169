package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	mkdir(t, filepath.Dir(path))
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// Claim: A record is replaced completely or not at all; a torn, newer or unreadable record stays until it is replaced or removed; DEL
// without a record leaves nothing
func TestCloseLeavesNothing(t *testing.T) {
	dirs, key := newDirs(t), keyFor("c1")
	a := open(t, dirs, key)
	sameFiles(t, dirs.State, map[string]string{"net/c1@eth0.json": ""})
	sameMode(t, recordPath(dirs, "c1"), 0o600)
	sameMode(t, filepath.Join(dirs.State, "net"), fs.ModeDir|0o700)
	closeIt(t, a)
	sameFiles(t, dirs.State, map[string]string{})
	closeIt(t, a) // a second Close does nothing

	written(t, dirs, newRecord(key))
	put(t, recordPath(dirs, "c1")+".tmp", `{"vers`) // left by a verb that was killed in Save
	a = open(t, dirs, key)
	if err := a.Remove(); err != nil {
		t.Fatal(err)
	}
	closeIt(t, a)
	sameFiles(t, dirs.State, map[string]string{})
}

// If the record cannot be replaced, the old one and its lock stay.
//
// Claim: A record is replaced completely or not at all; a torn, newer or unreadable record stays until it is replaced or removed; DEL
// without a record leaves nothing
func TestSaveAllOrNothing(t *testing.T) {
	for _, tc := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		created time.Time
		err     string
	}{
		{name: "no temporary file", prepare: func(t *testing.T, path string) { mkdir(t, path+".tmp/x") }, err: "c1@eth0.json.tmp" + notOurs + "a directory"},
		{name: "no encoding", created: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), err: "year outside of range [0,9999]"},
		{name: "temporary file locked", prepare: lockTemporary, err: "resource temporarily unavailable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dirs, key := newDirs(t), keyFor("c1")
			written(t, dirs, newRecord(key))
			before := files(t, dirs.State)["net/c1@eth0.json"]
			a := open(t, dirs, key)
			if tc.prepare != nil {
				tc.prepare(t, recordPath(dirs, "c1"))
			}
			r := newRecord(key)
			r.Bridge, r.Created = "br9", tc.created
			saysOf(t, a.Save(r), tc.err)
			sameFiles(t, dirs.State, map[string]string{"net/c1@eth0.json": before})
			if a.Record == r || a.Record == nil {
				t.Errorf("the record is now %+v", a.Record)
			}
			if _, err := TryOpen(dirs, key); !errors.Is(err, ErrBusy) {
				t.Errorf("another verb's TryOpen: got %v, want ErrBusy", err)
			}
		})
	}
}

func lockTemporary(t *testing.T, path string) {
	put(t, path+".tmp", "")
	f, err := os.Open(path + ".tmp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

// If rename fails, Save deletes the temporary file.
//
// Claim: A record is replaced completely or not at all; a torn, newer or unreadable record stays until it is replaced or removed; DEL
// without a record leaves nothing
func TestSaveCannotRename(t *testing.T) {
	dirs, key := newDirs(t), keyFor("c1")
	a := open(t, dirs, key)
	if err := os.Remove(recordPath(dirs, "c1")); err != nil {
		t.Fatal(err)
	}
	put(t, recordPath(dirs, "c1")+"/x", "")
	err := a.Save(newRecord(key))
	saysOf(t, err, "file exists")
	sameFiles(t, dirs.State, map[string]string{"net/c1@eth0.json/x": ""})
	saysOf(t, a.Close(), "directory not empty") // Close must delete the record
}

// No other verb can lock the attachment between the old record and the new one.
//
// Claim: Verbs of one attachment run one at a time, between processes too: the second waits, sees a record that was replaced or removed
// meanwhile, and continues after `kill -9` of the first
func TestSaveKeepsTheLock(t *testing.T) {
	dirs, key := newDirs(t), keyFor("c1")
	a := open(t, dirs, key)
	for i := range 3 {
		if err := a.Save(newRecord(key)); err != nil {
			t.Fatal(err)
		}
		if _, err := TryOpen(dirs, key); !errors.Is(err, ErrBusy) {
			t.Errorf("after Save %d: got %v, want ErrBusy", i, err)
		}
	}
	sameFiles(t, dirs.State, map[string]string{"net/c1@eth0.json": files(t, dirs.State)["net/c1@eth0.json"]})
	closeIt(t, a)
	b, err := TryOpen(dirs, key)
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	closeIt(t, b)
}

// Verbs that only read create nothing, and neither does DEL of an unknown attachment.
//
// Claim: A record is replaced completely or not at all; a torn, newer or unreadable record stays until it is replaced or removed; DEL
// without a record leaves nothing
func TestOpenWithoutATrace(t *testing.T) {
	long := keyFor(strings.Repeat("c", 300))
	for _, tc := range []struct {
		name  string
		key   Key
		state string // what exists at the path of the state directory: "", "dir" or "file"
	}{
		{"no state directory", keyFor("c1"), ""},
		{"name too long for a file", long, "dir"},
		{"file instead of a directory", keyFor("c1"), "file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dirs := newDirs(t)
			want := map[string]string{}
			switch tc.state {
			case "dir":
				mkdir(t, filepath.Join(dirs.State, "net"))
			case "file":
				put(t, dirs.State, "text")
				want["."] = "text"
			}
			for name, openSome := range map[string]func() (*Attachment, error){
				"OpenExisting": func() (*Attachment, error) { return OpenExisting(t.Context(), dirs, tc.key) },
				"OpenToRemove": func() (*Attachment, error) { return OpenToRemove(t.Context(), dirs, tc.key) },
			} {
				a, err := openSome()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if a.Record != nil || a.Broken != nil {
					t.Errorf("%s: got %v, %v", name, a.Record, a.Broken)
				}
				if err := errors.Join(a.Release(t.Context()), a.Remove(), a.Close()); err != nil {
					t.Errorf("%s: release, remove and close: %v", name, err)
				}
				sameFiles(t, dirs.State, want)
			}
			if _, err := os.Stat(dirs.Data); !isAbsent(err) {
				t.Errorf("the data directory was created: %v", err)
			}
		})
	}
}

func TestOpenExistingOnlyLooks(t *testing.T) {
	dirs, key := newDirs(t), keyFor("c1")
	put(t, recordPath(dirs, "c1"), "")
	a, err := OpenExisting(t.Context(), dirs, key)
	if err != nil || a.Record != nil {
		t.Fatalf("got %+v, %v", a, err)
	}
	closeIt(t, a)
	sameFiles(t, dirs.State, map[string]string{"net/c1@eth0.json": ""})

	written(t, dirs, newRecord(key))
	a, err = OpenExisting(t.Context(), dirs, key)
	if err != nil || a.Record == nil {
		t.Fatalf("got %+v, %v", a, err)
	}
	if _, err := TryOpen(dirs, key); !errors.Is(err, ErrBusy) {
		t.Errorf("TryOpen of another verb: got %v, want ErrBusy", err)
	}
	closeIt(t, a)
}

// DEL locks a record that does not exist yet, so that no ADD starts meanwhile.
func TestOpenToRemoveLocks(t *testing.T) {
	dirs, key := newDirs(t), keyFor("c1")
	mkdir(t, filepath.Join(dirs.State, "net"))
	a, err := OpenToRemove(t.Context(), dirs, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TryOpen(dirs, key); !errors.Is(err, ErrBusy) {
		t.Errorf("another verb's TryOpen: got %v, want ErrBusy", err)
	}
	closeIt(t, a)
	sameFiles(t, dirs.State, map[string]string{})
}

func TestOpenRefuses(t *testing.T) {
	dirs := newDirs(t)
	put(t, dirs.State, "")
	_, err := Open(t.Context(), dirs, keyFor("c1"))
	saysOf(t, err, "not a directory")
}

// A symbolic link at the path of a state file is followed neither to read nor to write.
//
// Claim: Symbolic links, directories and pipes in place of state files are not followed and do not block
func TestSymlinksAreRefused(t *testing.T) {
	for _, name := range []string{"net/c1@eth0.json", "net/c1@eth0.json.tmp", "ipam/net/lock", "ipam/net/last_reserved_ip.0"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			dirs := newDirs(t)
			target := filepath.Join(t.TempDir(), "target")
			put(t, target, fullText)
			symlink(t, target, filepath.Join(dirs.State, name))
			_, err := reserveOnce(t, dirs)
			saysOf(t, err, filepath.Base(name)+notOurs+"a symbolic link")
			if got := files(t, target)["."]; got != fullText {
				t.Errorf("the link's target was changed to %q", got)
			}
			if _, err := os.Lstat(addrPath(dirs, "10.1.2.2")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the address is still reserved: %v", err)
			}
		})
	}
}

// reserveOnce opens c1 and reserves an address, and returns the first error.
func reserveOnce(t *testing.T, dirs Dirs) (*Attachment, error) {
	t.Helper()
	a, err := Open(t.Context(), dirs, keyFor("c1"))
	if err != nil {
		return nil, err
	}
	t.Cleanup(a.unlock)
	return a, a.Reserve(t.Context(), newRecord(a.Key), Request{Pool: pool(t, "10.1.2.0/24")})
}
