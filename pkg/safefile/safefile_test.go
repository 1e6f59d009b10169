package safefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// within fails a test whose call waits.
func within(t *testing.T, call func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); call() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the call hangs")
	}
}

// Claim: A file chosen by another user or by a configuration is opened without following links and without blocking, and only if type,
// size, owner and names are correct; every other place that opens such a file is listed with its reason
func TestRead(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "config"), "text")
	link := filepath.Join(dir, "link")
	must(t, os.Symlink(file, link))
	fifo := filepath.Join(dir, "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	endless := filepath.Join(dir, "endless")
	must(t, os.Symlink("/dev/zero", endless))
	linkToFIFO := filepath.Join(dir, "link-to-fifo")
	must(t, os.Symlink(fifo, linkToFIFO))
	huge := write(t, filepath.Join(dir, "huge"), "")
	must(t, os.Truncate(huge, 1<<40))
	second := write(t, filepath.Join(dir, "first"), "x")
	must(t, os.Link(second, filepath.Join(dir, "second")))
	world := write(t, filepath.Join(dir, "world"), "x")
	must(t, os.Chmod(world, 0o602))
	group := write(t, filepath.Join(dir, "group"), "x")
	must(t, os.Chmod(group, 0o620))
	must(t, os.Symlink(dir, filepath.Join(dir, "dir")))

	follow := safefile.Rules{FollowLinks: true, AnyOwner: true}
	tests := []struct {
		name  string
		path  string
		rules safefile.Rules
		want  error // nil: "text" is read
	}{
		{"regular file", file, safefile.Rules{}, nil},
		{"file of exactly the limit", file, safefile.Rules{MaxBytes: 4}, nil},
		{"one byte over the limit", file, safefile.Rules{MaxBytes: 3}, safefile.ErrTooLarge},
		{"link", link, safefile.Rules{AnyOwner: true}, safefile.ErrSymlink},
		{"link, followed", link, follow, nil},
		{"link of root in a directory of root", filepath.Join(dir, "dir", "config"), safefile.Rules{}, nil},
		{"FIFO", fifo, safefile.Rules{}, safefile.ErrNotRegular},
		{"FIFO behind a link", linkToFIFO, follow, safefile.ErrNotRegular},
		{"/dev/zero", "/dev/zero", safefile.Rules{AnyOwner: true}, safefile.ErrNotRegular},
		{"/dev/zero behind a link", endless, follow, safefile.ErrNotRegular},
		{"directory", dir, safefile.Rules{}, safefile.ErrNotRegular},
		{"directory, followed", dir, follow, safefile.ErrNotRegular},
		{"1 TB", huge, safefile.Rules{}, safefile.ErrTooLarge},
		{"1 TB, followed", huge, follow, safefile.ErrTooLarge},
		{"file of /proc without a size", "/proc/self/maps", safefile.Rules{AnyOwner: true, MaxBytes: 100}, safefile.ErrTooLarge},
		{"two names", second, safefile.Rules{}, safefile.ErrLinked},
		{"writable by all", world, safefile.Rules{SharedGroup: true}, safefile.ErrWritable},
		{"writable by a group", group, safefile.Rules{}, safefile.ErrWritable},
		{"no file", filepath.Join(dir, "none"), safefile.Rules{}, os.ErrNotExist},
		{"file instead of a directory", filepath.Join(file, "config"), safefile.Rules{}, safefile.ErrNotDir},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			within(t, func() { reads(t, tt.path, tt.rules, tt.want) })
		})
	}
}

// reads checks what Read returns for a path: "text", or an error that names the path.
func reads(t *testing.T, path string, rules safefile.Rules, want error) {
	t.Helper()
	got, err := safefile.Read(path, rules)
	if !errors.Is(err, want) || want == nil && string(got) != "text" {
		t.Errorf("Read: %q, %v; want %v", got, err, want)
	}
	if want != nil && err != nil && !strings.Contains(err.Error(), path) && !errors.Is(err, safefile.ErrNotDir) {
		t.Errorf("error %q does not name %s", err, path)
	}
}

// TestReadWaitsForNothing: /proc/kmsg is a regular file, but reading it waits for the kernel's next message.
//
// Claim: A file chosen by another user or by a configuration is opened without following links and without blocking, and only if type,
// size, owner and names are correct; every other place that opens such a file is listed with its reason
func TestReadWaitsForNothing(t *testing.T) {
	if _, err := os.Stat("/proc/kmsg"); err != nil || os.Geteuid() != 0 {
		t.Skip("no /proc/kmsg here, or not root")
	}
	within(t, func() {
		if _, err := safefile.Read("/proc/kmsg", safefile.Rules{AnyOwner: true, MaxBytes: 64 << 20}); err == nil {
			t.Error("read /proc/kmsg to its end, which it does not have")
		}
	})
}

// user is the other user of these tests.
const user = 4711

// theirs creates a directory of user; that needs root.
func theirs(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to give files away")
	}
	dir := filepath.Join(t.TempDir(), "theirs")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.Chown(dir, user, user))
	return dir
}

// Claim: A file chosen by another user or by a configuration is opened without following links and without blocking, and only if type,
// size, owner and names are correct; every other place that opens such a file is listed with its reason
func TestReadOfAnotherUser(t *testing.T) {
	dir := theirs(t)
	file := write(t, filepath.Join(dir, "config"), "text")
	must(t, os.Chown(file, user, user))
	if _, err := safefile.Read(file, safefile.Rules{}); !errors.Is(err, safefile.ErrOwner) {
		t.Errorf("a file of another user: %v", err)
	}
	if _, err := safefile.Read(file, safefile.Rules{Owners: []uint32{user + 1}}); !errors.Is(err, safefile.ErrOwner) {
		t.Errorf("a file of another user, where a third one may own it: %v", err)
	}
	if _, err := safefile.Read(file, safefile.Rules{Owners: []uint32{user}}); err != nil {
		t.Errorf("a file of a user who may own it: %v", err)
	}
}

// TestOwnerOfDir: any owner is accepted in a directory of root, in one of a user only that user.
//
// Claim: A file chosen by another user or by a configuration is opened without following links and without blocking, and only if type,
// size, owner and names are correct; every other place that opens such a file is listed with its reason
func TestOwnerOfDir(t *testing.T) {
	dir, rules := theirs(t), safefile.Rules{OwnerOfDir: true}
	file := write(t, filepath.Join(dir, "config"), "root's")
	if _, err := safefile.Read(file, rules); !errors.Is(err, safefile.ErrOwner) {
		t.Errorf("root's file in the directory of a user: %v", err)
	}
	must(t, os.Chown(file, user, user))
	if _, err := safefile.Read(file, rules); err != nil {
		t.Errorf("a user's file in the user's directory: %v", err)
	}
	must(t, os.Chown(dir, 0, 0))
	if _, err := safefile.Read(file, rules); err != nil {
		t.Errorf("a user's file in root's directory: %v", err)
	}
	must(t, os.Chown(dir, user+1, 0))
	if _, err := safefile.Read(file, rules); !errors.Is(err, safefile.ErrOwner) {
		t.Errorf("a user's file in another user's directory: %v", err)
	}
}

// TestLinkedDirectory: in a directory of another user no link is followed, not even one of root: the user can replace it.
//
// Claim: A file chosen by another user or by a configuration is opened without following links and without blocking, and only if type,
// size, owner and names are correct; every other place that opens such a file is listed with its reason
func TestLinkedDirectory(t *testing.T) {
	dir := theirs(t)
	roots := t.TempDir()
	write(t, filepath.Join(roots, "config"), "root's")
	must(t, os.Symlink(roots, filepath.Join(dir, "web")))
	if got, err := safefile.Read(filepath.Join(dir, "web", "config"), safefile.Rules{Owners: []uint32{user}}); !errors.Is(err, safefile.ErrSymlink) {
		t.Errorf("read %q, %v through a directory of another user", got, err)
	}
	must(t, os.Chown(dir, 0, 0))
	must(t, os.Chmod(dir, 0o777))
	if got, err := safefile.Read(filepath.Join(dir, "web", "config"), safefile.Rules{}); !errors.Is(err, safefile.ErrSymlink) {
		t.Errorf("read %q, %v through a directory that all users may write to", got, err)
	}
	must(t, os.Lchown(filepath.Join(dir, "web"), user, user))
	must(t, os.Chmod(dir, 0o777|os.ModeSticky))
	if got, err := safefile.Read(filepath.Join(dir, "web", "config"), safefile.Rules{}); !errors.Is(err, safefile.ErrSymlink) {
		t.Errorf("read %q, %v through a link of another user", got, err)
	}
	must(t, os.Lchown(filepath.Join(dir, "web"), 0, 0))
	if _, err := safefile.Read(filepath.Join(dir, "web", "config"), safefile.Rules{}); err != nil {
		t.Errorf("root's link in a sticky directory: %v", err)
	}
}
