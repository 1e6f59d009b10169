// Package safefile opens files that another user may control: a configuration in a
// user's directory, or a path from a network configuration.
//
// It does not interpret contents, and it writes no files except by Create, New, Replace,
// Rewrite and OpenAppend.
//
//	text, err := safefile.Read("/etc/resolv.conf", safefile.Rules{FollowLinks: true, AnyOwner: true})
//
//	f, err := safefile.Open("/var/lib/lxc/web/config", safefile.Rules{Owners: []uint32{1000}})
//	text, err := f.Read()
//	err = f.Replace(changed) // ErrChanged if the name leads to another file by now
//	err = f.Close()
//
// Constraints:
//
//   - A file is checked on the descriptor that is read, never by its path, which may
//     lead elsewhere a microsecond later.
//   - A file is opened with O_PATH first, which neither waits for a FIFO nor opens a
//     device, and again through /proc/self/fd if it is a regular file.
//   - A symbolic link in the directories of a path is followed only if nobody but root
//     and the effective user could have created it; as the last component it is
//     followed only with Rules.FollowLinks.
package safefile
