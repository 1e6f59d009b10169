package safefile

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Errors of this package. Each is wrapped with the path and what was found.
var (
	ErrSymlink    = errors.New("symbolic link")
	ErrNotRegular = errors.New("not a regular file")
	ErrNotDir     = errors.New("not a directory")
	ErrTooLarge   = errors.New("file too large")
	ErrTooMany    = errors.New("too many directory entries")
	ErrOwner      = errors.New("owned by another user")
	ErrWritable   = errors.New("writable by other users")
	ErrLinked     = errors.New("file with more than one name")
	ErrChanged    = errors.New("file changed by another process")
)

// refused returns an error that names the path, the reason and the evidence.
func refused(path string, why error, evidence string) error {
	if evidence == "" {
		return fmt.Errorf("%s: %w", path, why)
	}
	return fmt.Errorf("%s: %w (%s)", path, why, evidence)
}

// kindOf names the type of a file.
func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "regular file"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "symbolic link"
	case unix.S_IFIFO:
		return "FIFO"
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFCHR:
		return "character device"
	case unix.S_IFBLK:
		return "block device"
	}
	return "unknown type"
}
