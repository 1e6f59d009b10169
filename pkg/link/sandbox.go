package link

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/containernetworking/plugins/pkg/ns"
	"golang.org/x/sys/unix"
)

// Sandbox is the network namespace of a container. It is opened once: if the path is later removed or
// reused, all operations still apply to the namespace that was opened.
type Sandbox struct {
	*conn
	Path   string // as the runtime gave it
	file   ns.NetNS
	hostNS int // descriptor of the host's network namespace

	inode, hostInode uint64 // of the namespaces in their file system
}

// OpenSandbox opens the network namespace at a path. Errors wrap ErrNoNetns (no file at the path),
// ErrNotNetns (a file, or a namespace of another type), ErrHostNetns unless hostAllowed is set
// (CNI_NETNS_OVERRIDE of libcni), or ErrNetns (the kernel refused).
func OpenSandbox(path string, hostAllowed bool) (*Sandbox, error) {
	netns, err := ns.GetNS(path)
	if err != nil {
		return nil, openError(path, err)
	}
	s := &Sandbox{Path: path, file: netns}
	if s.hostNS, err = openHostNS(); err == nil {
		err = s.check(hostAllowed)
	}
	if err == nil {
		s.conn, err = dial(namespace{socket: s.openSocket, enter: s.visit})
	}
	if err != nil {
		s.closeFiles()
		return nil, err
	}
	return s, nil
}

// openHostNS opens the network namespace of the calling thread; -1 with an error.
func openHostNS() (int, error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &netnsError{"open the host's network namespace", err}
	}
	return fd, nil
}

// visit runs a function on a thread that is in the container's network namespace: a socket that it
// opens and a file of /proc/sys that it reads or writes belong to that namespace. The goroutine is
// locked to its thread for that time, for which the Go runtime starts one more thread, once per
// process. Calls of a function that opens a socket beforehand are not affected by the visit.
//
// Entering is cheap: since Linux 3.17 setns(2) does not wait for an RCU grace period. ns.Do
// of the library is not used: each call starts a goroutine, for which a thread may have to
// be created, and opens the current namespace twice.
func (s *Sandbox) visit(run func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil { // ns.Set does not wrap its error
		return &netnsError{"enter network namespace " + s.Path, err}
	}
	err := run()
	exitUnlessBack(unix.Setns(s.hostNS, unix.CLONE_NEWNET))
	return err
}

// exitUnlessBack ends the process if a thread could not return to the host's network namespace:
// whatever is done next for the host would be done to the container. What was created is in the
// record, and DEL removes it. The kernel has no reason to refuse what it allowed before.
func exitUnlessBack(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "patchbay: return to the host's network namespace:", err)
	fmt.Fprintln(os.Stdout, `{"cniVersion": "1.0.0", "code": 999, "msg": "return to the host's network namespace failed", "details": "call DEL"}`)
	os.Exit(1)
}

// openSocket opens a socket in the container's network namespace.
func (s *Sandbox) openSocket(domain, kind, protocol int) (fd int, err error) {
	err = s.visit(func() (err error) {
		fd, err = unix.Socket(domain, kind, protocol)
		return err
	})
	return fd, err
}

// closeFiles closes the descriptors of both namespaces.
func (s *Sandbox) closeFiles() {
	s.file.Close()
	if s.hostNS >= 0 {
		unix.Close(s.hostNS)
	}
}

// openError returns the error of a path that ns.GetNS has refused.
func openError(path string, err error) error {
	var missing ns.NSPathNotExistErr
	var other ns.NSPathNotNSErr
	_, look := os.Stat(path) // ns.GetNS does not wrap what it found
	switch {
	case errors.As(err, &missing) || errors.Is(look, os.ErrNotExist) || errors.Is(look, unix.ENOTDIR):
		return fmt.Errorf("%s: %w", path, ErrNoNetns)
	case errors.As(err, &other):
		return fmt.Errorf("%s: %w", path, ErrNotNetns)
	case look != nil:
		err = look
	}
	return &netnsError{"open network namespace " + path, err}
}

// check verifies the file that was opened. A mount namespace is in the same file system (nsfs), so the
// kernel is asked for the type (NS_GET_NSTYPE, Linux 4.11). The host's own namespace is recognized by
// its inode: a container that shares it would have its eth0 created on the host.
func (s *Sandbox) check(hostAllowed bool) error {
	kind, err := unix.IoctlRetInt(int(s.file.Fd()), unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		return fmt.Errorf("%s: %w", s.Path, ErrNotNetns)
	}
	var host, it unix.Stat_t
	if err := unix.Fstat(s.hostNS, &host); err != nil {
		return fmt.Errorf("identify the host's network namespace: %w", err)
	}
	if err := unix.Fstat(int(s.file.Fd()), &it); err != nil {
		return fmt.Errorf("identify network namespace %s: %w", s.Path, err)
	}
	s.inode, s.hostInode = it.Ino, host.Ino
	if host.Ino == it.Ino && host.Dev == it.Dev && !hostAllowed {
		return fmt.Errorf("%s is %w", s.Path, ErrHostNetns)
	}
	return nil
}

// Inode returns the inode number of the namespace, unique only while the namespace exists.
func (s *Sandbox) Inode() uint64 { return s.inode }

// HostInode returns the inode number of the host's namespace.
func (s *Sandbox) HostInode() uint64 { return s.hostInode }

// Close closes the sockets and the namespace.
func (s *Sandbox) Close() {
	s.close()
	s.closeFiles()
}

// Link looks up an interface of the container by name. Errors wrap ErrNotFound.
func (s *Sandbox) Link(name string) (*Link, error) { return s.byName(name) }

// Delete deletes an interface of the container; of a veth the kernel deletes the other end too. An
// interface that no longer exists is no error.
//
// The kernel queues both ends for the same removal (veth_dellink), in whichever namespace
// the other one is.
func (s *Sandbox) Delete(l *Link) error {
	err := s.socket.execute(linkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, linkHeader{index: l.Index}), nil)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete %s in %s: %w", l.Name, s.Path, err)
	}
	return nil
}
