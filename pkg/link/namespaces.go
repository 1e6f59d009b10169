package link

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Namespaces is a list of the network namespaces that exist on this machine, as far as they can be found.
//
// Certain: a namespace in the list exists. Gone returns true only if every thread of the machine was
// seen in another namespace, and every namespace that is mounted or open was seen to be another one.
//
// Not certain, and possibly reported as gone: a namespace that only a socket holds, a descriptor in
// flight between two processes, or an open file of a process that may not be inspected because it has
// more capabilities; and a namespace that was passed, during the search, from a process that was
// inspected later to one that was inspected before.
type Namespaces struct {
	cookies  map[uint64]bool // of those that a thread is in
	complete bool            // all threads were seen

	nsfs        [2]uint32       // device of the file system of namespaces
	seen        map[uint64]bool // inodes in it that have a cookie
	held        []uint64        // inodes in it, of any type, that are mounted or open: they are not entered
	tables      map[string]bool // mount namespaces that were looked at: "mnt:[4026531841]"
	devices     map[uint64]bool // inodes of /proc/net/dev of namespaces with a cookie
	uninspected []uint64        // the same, of threads that may not be inspected
}

// FindNamespaces inspects the threads of all processes, their open files, and what is mounted in their
// mount namespaces (ip netns). It takes milliseconds for a few hundred processes. Where something cannot
// be read, the result is incomplete and Gone returns false.
func FindNamespaces() *Namespaces {
	n := &Namespaces{
		cookies: map[uint64]bool{}, complete: seesAllProcesses(),
		seen: map[uint64]bool{}, tables: map[string]bool{}, devices: map[uint64]bool{},
	}
	var own unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, "/proc/self/ns/net", 0, unix.STATX_INO, &own)
	n.nsfs = [2]uint32{own.Dev_major, own.Dev_minor}
	processes, failed := os.ReadDir("/proc")
	if err != nil || failed != nil {
		n.complete = false
	}
	for _, p := range processes {
		if _, err := strconv.Atoi(p.Name()); err == nil {
			n.process(filepath.Join("/proc", p.Name()))
		}
	}
	for _, device := range n.uninspected {
		n.complete = n.complete && n.devices[device]
	}
	return n
}

// Gone reports whether a namespace no longer exists. It returns false for a cookie of 0 (before Linux
// 5.14): an inode number alone may already belong to a later namespace.
//
// Processes and mounts are searched because the supported kernels have no list of network
// namespaces for user space. RTM_GETNSID answers only for namespaces that a link refers to,
// and a link is what a stale attachment has lost.
func (n *Namespaces) Gone(id NetnsID) bool {
	if id.Cookie == 0 || !n.complete || n.cookies[id.Cookie] {
		return false
	}
	for _, inode := range n.held {
		if !n.seen[inode] && (id.Inode == 0 || id.Inode == inode) {
			return false
		}
	}
	return true
}

// seesAllProcesses reports whether this process is in the initial PID namespace: in another one /proc
// does not list the processes of the namespaces above.
//
// The number is the same in every kernel since Linux 3.8: the inode numbers of the initial
// namespaces are constants.
func seesAllProcesses() bool {
	const initial = "pid:[4026531836]" // PROC_PID_INIT_INO, linux/proc_ns.h
	name, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && name == initial
}

// process inspects one process: its threads, open files and mounts.
func (n *Namespaces) process(dir string) {
	for _, thread := range n.entries(filepath.Join(dir, "task")) {
		n.thread(filepath.Join(dir, "task", thread))
	}
	for _, fd := range n.entries(filepath.Join(dir, "fd")) {
		n.file(filepath.Join(dir, "fd", fd))
	}
	n.mounts(dir)
}

// entries returns the names in a directory of a process; none if the process has ended or may not be
// inspected.
func (n *Namespaces) entries(dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	if err != nil && !ended(err) && filepath.Base(dir) == "task" {
		n.complete = false
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// ended reports whether an error means only that a process no longer exists. The kernel returns ESRCH if
// its directory in /proc was already open.
func ended(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// thread notes the namespace of a thread. If it may not be inspected (ptrace access), the inode of its
// /proc/PID/task/TID/net/dev, which any process can read, shows whether it is in the namespace of
// another thread.
//
// The unit is the thread, not the process: every thread has its own network namespace
// (setns(2)), and a container runtime written in Go may have one thread in a container for
// a while.
func (n *Namespaces) thread(dir string) {
	entered, err := n.enter(filepath.Join(dir, "ns/net"))
	if err == nil && !entered || err != nil && ended(err) {
		return
	}
	var device unix.Stat_t
	failed := unix.Stat(filepath.Join(dir, "net/dev"), &device)
	switch {
	case failed != nil:
		n.complete = n.complete && ended(failed)
	case entered:
		n.devices[device.Ino] = true
	default:
		n.uninspected = append(n.uninspected, device.Ino)
	}
}

// enter opens the namespace of a thread and reads its cookie, unless another thread has shown it.
func (n *Namespaces) enter(path string) (entered bool, err error) {
	var info unix.Stat_t
	if err := unix.Stat(path, &info); err != nil || n.seen[info.Ino] {
		return false, err
	}
	s, err := OpenSandbox(path, true)
	if errors.Is(err, ErrNoNetns) {
		return false, os.ErrNotExist
	}
	if err != nil {
		return false, err
	}
	defer s.Close()
	n.seen[s.Inode()], n.cookies[s.Cookie()] = true, true
	return true, nil
}

// file notes an open file that is a namespace. It is not opened: the descriptor may be another file by
// then. A file in a network file system is not queried (AT_STATX_DONT_SYNC, AT_NO_AUTOMOUNT): its server
// may not respond.
func (n *Namespaces) file(path string) {
	var info unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_INO, &info)
	if err == nil && [2]uint32{info.Dev_major, info.Dev_minor} == n.nsfs {
		n.held = append(n.held, info.Ino)
	}
}

// mounts notes the namespaces that are mounted in the mount namespace of a process, once per mount
// namespace.
func (n *Namespaces) mounts(dir string) {
	name, err := os.Readlink(filepath.Join(dir, "ns/mnt"))
	if err != nil {
		name = dir // may not be inspected, but its table can be read
	}
	if n.tables[name] {
		return
	}
	table, err := os.ReadFile(filepath.Join(dir, "mountinfo"))
	if err != nil {
		n.complete = n.complete && (ended(err) || errors.Is(err, unix.EINVAL)) // EINVAL: a process that is ending
		return
	}
	n.tables[name] = true
	for line := range strings.Lines(string(table)) {
		// Fields (proc_pid_mountinfo(5)): mount ID, parent ID, device, root, mount point. The root of a
		// mounted namespace is its name, "net:[4026531840]".
		fields := strings.Fields(line)
		if len(fields) < 5 || !strings.HasPrefix(fields[3], "net:[") {
			continue
		}
		if inode, err := strconv.ParseUint(strings.Trim(fields[3], "net:[]"), 10, 64); err == nil {
			n.held = append(n.held, inode)
		}
	}
}
