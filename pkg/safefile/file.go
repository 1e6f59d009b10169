package safefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// File is an open regular file, and its directory.
type File struct {
	path string
	name string // in dir
	dir  int    // descriptor of the directory (O_PATH); -1 with Rules.FollowLinks
	fd   int
	stat unix.Stat_t
	max  int64
}

// Read opens, reads and closes a file.
func Read(path string, rules Rules) ([]byte, error) {
	f, err := Open(path, rules)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Read()
}

// Open opens a file for reading, without waiting. A FIFO, a device, a socket or a
// directory is an ErrNotRegular. Other errors wrap ErrSymlink, ErrTooLarge, ErrOwner,
// ErrWritable or ErrLinked, or are the system's, for example os.ErrNotExist.
func Open(path string, rules Rules) (*File, error) {
	f := &File{path: path, name: filepath.Base(path), dir: -1, fd: -1, max: rules.max()}
	if err := f.open(rules); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// open finds the file, checks it, and opens the checked file for reading.
func (f *File) open(rules Rules) error {
	found, owner, err := f.find(rules)
	if err != nil {
		return err
	}
	defer unix.Close(found)
	if err := unix.Fstat(found, &f.stat); err != nil {
		return &os.PathError{Op: "stat", Path: f.path, Err: err}
	}
	if err := rules.check(f.path, &f.stat, owner); err != nil {
		return err
	}
	// Open the same inode, whatever the name leads to by now. O_NONBLOCK: reading some
	// files of /proc, kmsg for example, waits.
	f.fd, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", found), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: f.path, Err: err}
	}
	return nil
}

// find opens the file with O_PATH, and returns the owner of its directory; root with
// Rules.FollowLinks.
func (f *File) find(rules Rules) (fd int, owner uint32, err error) {
	at, name, noFollow := unix.AT_FDCWD, f.path, 0
	if !rules.FollowLinks {
		w, err := openDir(filepath.Dir(f.path))
		if err != nil {
			return -1, 0, err
		}
		f.dir, at, name, noFollow, owner = w.fd, w.fd, f.name, unix.O_NOFOLLOW, w.owner
	}
	if fd, err = unix.Openat(at, name, unix.O_PATH|unix.O_CLOEXEC|noFollow, 0); err != nil {
		return -1, 0, &os.PathError{Op: "open", Path: f.path, Err: err}
	}
	return fd, owner, nil
}

// Read returns the content of the file. It counts the bytes that it reads, because a
// file of /proc has size 0. More than Rules.MaxBytes are an ErrTooLarge.
func (f *File) Read() ([]byte, error) { return f.ReadFrom(0) }

// ReadFrom returns the content from an offset in bytes, as Read does; nothing if the file
// is shorter.
func (f *File) ReadFrom(offset int64) ([]byte, error) {
	text := make([]byte, 0, min(f.max, max(f.stat.Size-offset, 512))+1)
	for {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := f.pread(text[len(text):cap(text)], offset+int64(len(text)))
		if err != nil {
			return nil, err
		}
		if text = text[:len(text)+n]; int64(len(text)) > f.max {
			return nil, tooLarge(f.path, f.max)
		}
		if n == 0 {
			return text, nil
		}
	}
}

// Start returns the first bytes of the file, at most n; fewer if it is shorter.
func (f *File) Start(n int) ([]byte, error) {
	text := make([]byte, n)
	read, err := f.pread(text, 0)
	return text[:read], err
}

// pread reads once into a buffer, from an offset in bytes.
func (f *File) pread(buffer []byte, offset int64) (n int, err error) {
	for {
		n, err = unix.Pread(f.fd, buffer, offset)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, &os.PathError{Op: "read", Path: f.path, Err: err}
		}
		return n, nil
	}
}

// Close closes the file and its directory.
func (f *File) Close() error {
	var err error
	for _, fd := range []*int{&f.fd, &f.dir} {
		if *fd >= 0 {
			err = errors.Join(err, unix.Close(*fd))
			*fd = -1
		}
	}
	return err
}

// Owner returns the user and the group of the file.
func (f *File) Owner() (uid, gid uint32) { return f.stat.Uid, f.stat.Gid }

// Inode returns the device and the inode of the file, which identify it while it exists.
func (f *File) Inode() (dev, ino uint64) { return f.stat.Dev, f.stat.Ino }

// Size returns the size of the file in bytes when it was opened.
func (f *File) Size() int64 { return f.stat.Size }
