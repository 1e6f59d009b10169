package install

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// tempPrefix is the beginning of the names of temporary files.
const tempPrefix = "new-"

// dir is an open directory that only root and the effective user can change.
type dir struct {
	path   string
	fd     int
	inside string // where an absolute symbolic link in it may lead to
}

// openDir opens a directory; an error wraps os.ErrNotExist if there is none.
func openDir(path string) (*dir, error) {
	fd, err := safefile.OpenDir(path)
	if err != nil {
		return nil, err
	}
	return &dir{path, fd, path}, nil
}

// sub opens a directory below d.
func (d *dir) sub(name string) (*dir, error) {
	path := d.join(name)
	fd, err := safefile.OpenSubdir(d.fd, name, path)
	if err != nil {
		return nil, err
	}
	return &dir{path, fd, d.inside}, nil
}

// makeSub opens a directory below d, and creates it with mode 0700 if it does not exist.
func (d *dir) makeSub(name string) (*dir, error) {
	if err := unix.Mkdirat(d.fd, name, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, d.failed("mkdir", name, err)
	}
	return d.sub(name)
}

func (d *dir) join(name string) string { return filepath.Join(d.path, name) }

func (d *dir) failed(op, name string, err error) error {
	return &os.PathError{Op: op, Path: d.join(name), Err: err}
}

func (d *dir) close() {
	if d != nil {
		_ = unix.Close(d.fd)
	}
}

// sync writes the names in d to the disk.
func (d *dir) sync() error {
	if err := unix.Fsync(d.fd); err != nil && !errors.Is(err, unix.EINVAL) {
		return &os.PathError{Op: "fsync", Path: d.path, Err: err}
	}
	return nil
}

// names returns the names in d.
func (d *dir) names() ([]string, error) {
	const most = 10000
	return safefile.Names(d.path, most)
}

// found is what a name leads to; the zero value is no file.
type found struct {
	exists bool
	sha256 string // of a regular file
	target string // of a symbolic link
	stat   unix.Stat_t
}

// is reports whether two looks at a name saw the same file. It does not compare inode
// numbers: overlayfs changes them when a file is linked or renamed for the first time.
func (f found) is(other found) bool {
	a, b := f.stat, other.stat
	return f.exists == other.exists && f.sha256 == other.sha256 && f.target == other.target &&
		a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid && a.Mtim == b.Mtim
}

// Errors about what is in the place of a file. Each is wrapped with the path.
var (
	ErrUnsuitable = errors.New("not a regular file")
	ErrLeadsAway  = errors.New("symbolic link that leads out of the directory")
	ErrChanged    = errors.New("file changed by another process")
)

// look returns what a name in d leads to. A regular file is read. A symbolic link is not
// followed; one that leads to another name in d is accepted. A nil d is an empty directory.
func (d *dir) look(name string) (found, error) {
	var f found
	if d == nil {
		return f, nil
	}
	err := unix.Fstatat(d.fd, name, &f.stat, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return found{}, nil
	}
	if err != nil {
		return found{}, d.failed("stat", name, err)
	}
	f.exists = true
	switch f.stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return d.hash(name)
	case unix.S_IFLNK:
		f.target, err = d.readLink(name)
		return f, err
	}
	return found{}, fmt.Errorf("%s: %w", d.join(name), ErrUnsuitable)
}

// hash reads a regular file.
func (d *dir) hash(name string) (found, error) {
	fd, err := unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return found{}, d.failed("open", name, err)
	}
	file := os.NewFile(uintptr(fd), d.join(name))
	defer file.Close()
	f := found{exists: true}
	if err := unix.Fstat(fd, &f.stat); err != nil {
		return found{}, d.failed("stat", name, err)
	}
	if f.stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return found{}, fmt.Errorf("%s: %w", d.join(name), ErrUnsuitable)
	}
	f.sha256, err = hashOf(file)
	return f, err
}

func hashOf(r io.Reader) (string, error) {
	h := sha256.New()
	if err := safefile.CopyAll(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// readLink returns the target of a symbolic link, which must be a name in d.
func (d *dir) readLink(name string) (string, error) {
	text := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(d.fd, name, text)
	if err != nil {
		return "", d.failed("readlink", name, err)
	}
	target := string(text[:n])
	inside := strings.TrimPrefix(strings.TrimPrefix(target, d.inside+"/"), "./")
	if inside == "" || inside == "." || inside == ".." || strings.Contains(inside, "/") {
		return "", fmt.Errorf("%s: %w: %s", d.join(name), ErrLeadsAway, target)
	}
	return target, nil
}

// create writes a file that does not exist yet, with mode 0755 or 0644, to the disk.
func (d *dir) create(name string, mode uint32, content io.Reader) error {
	if err := safefile.Create(d.fd, name, safefile.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: mode}, content); err != nil {
		return d.failed("create", name, err)
	}
	return nil
}

// remove removes a name, if it exists.
func (d *dir) remove(name string) error {
	if err := unix.Unlinkat(d.fd, name, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return d.failed("remove", name, err)
	}
	return nil
}

// removeSub removes an empty directory below d, if it exists.
func (d *dir) removeSub(name string) error {
	if err := unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		return d.failed("rmdir", name, err)
	}
	return nil
}

// moveNew gives a file a name in d that nothing has.
func (d *dir) moveNew(from *dir, temp, name string) error {
	err := unix.Renameat2(from.fd, temp, d.fd, name, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not supported by this file system
		if err = unix.Linkat(from.fd, temp, d.fd, name, 0); err == nil {
			err = from.remove(temp)
		}
	}
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s: %w", d.join(name), ErrChanged)
	}
	if err != nil {
		return d.failed("rename", name, err)
	}
	return nil
}

// moveOver replaces the file that was seen under a name in d. If the name leads to
// another file by now, that keeps its name. The replaced file loses this name.
func (d *dir) moveOver(from *dir, temp, name string, seen found) error {
	if now, err := d.look(name); err != nil || !now.is(seen) {
		return errors.Join(fmt.Errorf("%s: %w", d.join(name), ErrChanged), err)
	}
	err := unix.Renameat2(from.fd, temp, d.fd, name, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		if err := unix.Renameat(from.fd, temp, d.fd, name); err != nil {
			return d.failed("rename", name, err)
		}
		return nil
	}
	if err != nil {
		return d.failed("rename", name, err)
	}
	if replaced, err := from.look(temp); err != nil || !replaced.is(seen) {
		err = errors.Join(err, unix.Renameat2(from.fd, temp, d.fd, name, unix.RENAME_EXCHANGE))
		return errors.Join(fmt.Errorf("%s: %w", d.join(name), ErrChanged), err)
	}
	return from.remove(temp)
}

// linkAside gives the file that was seen under a name in d the same name in another
// directory, in the place of what has it there.
func (d *dir) linkAside(name string, seen found, to *dir) error {
	temp := tempPrefix + name
	if err := to.remove(temp); err != nil {
		return err
	}
	if err := unix.Linkat(d.fd, name, to.fd, temp, 0); err != nil {
		return fmt.Errorf("keep %s aside: %w", d.join(name), &os.LinkError{Op: "link", Old: d.join(name), New: to.join(temp), Err: err})
	}
	if linked, err := to.look(temp); err != nil || !linked.is(seen) {
		return errors.Join(fmt.Errorf("%s: %w", d.join(name), ErrChanged), err, to.remove(temp))
	}
	if err := unix.Renameat(to.fd, temp, to.fd, name); err != nil {
		return to.failed("rename", name, err)
	}
	// If both names led to the same file already, rename(2) did nothing.
	return errors.Join(to.remove(temp), to.sync())
}

// modTime returns when the file was written.
func (f found) modTime() time.Time { return time.Unix(f.stat.Mtim.Unix()).UTC() }

// rename renames a file within d.
func (d *dir) rename(from, to string) error {
	if err := unix.Renameat(d.fd, from, d.fd, to); err != nil {
		return d.failed("rename", to, err)
	}
	return nil
}
