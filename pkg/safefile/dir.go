package safefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// CheckDir checks a single directory as CheckDirs does.
func CheckDir(path string) error { return CheckDirs(path, path) }

// CheckDirs reports whether only root and the effective user can change the contents of
// the directories from root down to path, and which directories these paths lead to.
//
// These directories and all above them must belong to root or the effective user, and
// no other user may write to them. Above root, a sticky bit (as that of /tmp) or the
// group root is also sufficient. Symbolic links are followed above root only, if nobody
// else could have created them. Directories that do not exist are accepted, because the
// caller creates them. Errors wrap ErrOwner, ErrWritable, ErrSymlink or ErrNotDir.
//
// Each directory is checked by path, from the top: nobody else can replace a directory
// whose parents have passed.
func CheckDirs(root, path string) error {
	absolute, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	below, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	at, stat, err := resolve(absolute)
	if err == nil {
		err = checkOwn(at, stat)
	}
	for name := range strings.SplitSeq(below, "/") {
		if err != nil || name == "." {
			break
		}
		at = filepath.Join(at, name)
		if stat, err = lstat(at); err == nil {
			err = checkOwn(at, stat)
		}
	}
	return ignoreAbsent(err)
}

// ignoreAbsent returns nil for os.ErrNotExist.
func ignoreAbsent(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// checkOwn checks a directory that no other user may write to, sticky or not.
func checkOwn(path string, stat *unix.Stat_t) error {
	if err := checkAbove(path, stat); err != nil {
		return err
	}
	if stat.Mode&0o022 != 0 {
		return refused(path, ErrWritable, fmt.Sprintf("mode %04o", stat.Mode&0o7777))
	}
	return nil
}

// checkAbove checks a directory in which no other user can replace an entry.
func checkAbove(path string, stat *unix.Stat_t) error {
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		return refused(path, ErrNotDir, kindOf(stat.Mode))
	}
	return unsafeDir(path, stat)
}

// lstat returns the attributes of a file without following a symbolic link.
func lstat(path string) (*unix.Stat_t, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return &stat, nil
}

// resolve resolves the symbolic links of a path, as the kernel would, and checks each
// directory on the way and the owner of each link.
func resolve(path string) (at string, stat *unix.Stat_t, err error) {
	rest, links := strings.Split(path, "/"), 0
	at = "/"
	if stat, err = lstat(at); err != nil {
		return "", nil, err
	}
	for ; len(rest) > 0; rest = rest[1:] {
		if rest[0] == "" || rest[0] == "." {
			continue
		}
		if err := checkAbove(at, stat); err != nil {
			return "", nil, err
		}
		next := filepath.Join(at, rest[0])
		its, err := lstat(next)
		if err != nil {
			return "", nil, err
		}
		if its.Mode&unix.S_IFMT != unix.S_IFLNK {
			at, stat = next, its
			continue
		}
		if links++; links > maxLinks {
			return "", nil, &os.PathError{Op: "open", Path: next, Err: unix.ELOOP}
		}
		target, err := readTrustedLink(next, its)
		if err != nil {
			return "", nil, err
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		if stat, err = lstat(at); err != nil {
			return "", nil, err
		}
		rest = append([]string{""}, append(strings.Split(target, "/"), rest[1:]...)...)
	}
	return at, stat, nil
}

// readTrustedLink returns the target of a link that root or the effective user created.
func readTrustedLink(path string, stat *unix.Stat_t) (string, error) {
	if !Trusted(stat.Uid) {
		return "", refused(path, ErrSymlink, "another user may have made it")
	}
	return os.Readlink(path)
}

// Names returns the names in a directory, unsorted. More than most are an ErrTooMany.
// O_DIRECTORY makes everything else at the path an error at once, including a FIFO.
func Names(path string, most int) ([]string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	dir := os.NewFile(uintptr(fd), path)
	defer dir.Close()
	names, err := dir.Readdirnames(most + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(names) > most {
		return nil, refused(path, ErrTooMany, fmt.Sprintf("more than %d", most))
	}
	return names, nil
}
