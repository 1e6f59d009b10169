package safefile

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultMax is the maximum size of a file in bytes, if Rules sets none.
const DefaultMax = 1 << 20

// Rules says which files may be opened. The zero value accepts a regular file that
// belongs to root or the effective user, has at most DefaultMax bytes and one name, and
// that no other user may write to.
type Rules struct {
	MaxBytes    int64    // maximum size; 0 for DefaultMax
	Owners      []uint32 // other users who may own the file
	OwnerOfDir  bool     // any owner in a directory of root or the effective user; in one of another user, that user only
	SharedGroup bool     // its group may write to it
	AnyOwner    bool     // any owner, mode and number of names, because the content is not trusted
	FollowLinks bool     // let the kernel follow symbolic links, also the last component
}

// max returns the maximum size in bytes.
func (r Rules) max() int64 {
	if r.MaxBytes > 0 {
		return r.MaxBytes
	}
	return DefaultMax
}

// check compares an open file with the rules; dir is the owner of its directory.
func (r Rules) check(path string, stat *unix.Stat_t, dir uint32) error {
	switch {
	case stat.Mode&unix.S_IFMT == unix.S_IFLNK:
		return refused(path, ErrSymlink, "not followed")
	case stat.Mode&unix.S_IFMT != unix.S_IFREG:
		return refused(path, ErrNotRegular, kindOf(stat.Mode))
	case stat.Size > r.max():
		return tooLarge(path, r.max())
	case r.AnyOwner:
		return nil
	case !r.mayOwn(stat.Uid, dir):
		return refused(path, ErrOwner, fmt.Sprintf("uid %d", stat.Uid))
	case stat.Mode&0o002 != 0 || stat.Mode&0o020 != 0 && !r.SharedGroup:
		return refused(path, ErrWritable, fmt.Sprintf("mode %04o", stat.Mode&0o7777))
	case stat.Nlink > 1:
		return refused(path, ErrLinked, fmt.Sprintf("%d hard links", stat.Nlink))
	}
	return nil
}

// mayOwn reports whether uid may own a file in a directory of the user dir.
func (r Rules) mayOwn(uid, dir uint32) bool {
	if r.OwnerOfDir {
		return Trusted(dir) || uid == dir
	}
	return Trusted(uid) || slices.Contains(r.Owners, uid)
}

// tooLarge returns the ErrTooLarge of a file.
func tooLarge(path string, most int64) error {
	return refused(path, ErrTooLarge, fmt.Sprintf("more than %d bytes", most))
}

// Trusted reports whether uid is root or the effective user. In a user namespace every
// user that is not mapped counts too: root of the host is one of them.
func Trusted(uid uint32) bool {
	return uid == 0 || int64(uid) == int64(os.Geteuid()) || uid == overflowUID && inUserNamespace()
}

// overflowUID is shown for every unmapped user (/proc/sys/kernel/overflowuid).
const overflowUID = 65534

// inUserNamespace reports whether this process is in a user namespace in which users of
// the host are missing. The initial namespace maps all of them, in one line.
func inUserNamespace() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !slices.Equal(strings.Fields(string(text)), []string{"0", "0", "4294967295"})
}
