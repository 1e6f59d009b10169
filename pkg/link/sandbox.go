package link

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/containernetworking/plugins/pkg/ns"
	"golang.org/x/sys/unix"
)

// Sandbox is the network namespace of a container. It is opened once; whatever happens to the
// path meanwhile, all work goes to the namespace that was opened.
type Sandbox struct {
	*conn
	Path  string // as the runtime gave it
	netns ns.NetNS
	home  int // descriptor of the host's
}

// OpenSandbox opens the namespace at path. Errors wrap ErrNoNetns (nothing there), ErrNotNetns
// (a file, or a namespace of another type) and, unless hostAllowed (CNI_NETNS_OVERRIDE of the
// specification's library), ErrHostNetns. Close it when done.
func OpenSandbox(path string, hostAllowed bool) (*Sandbox, error) {
	netns, err := ns.GetNS(path)
	if err != nil {
		return nil, notOpened(path, err)
	}
	s := &Sandbox{Path: path, netns: netns}
	if s.home, err = openHome(); err == nil {
		err = s.check(hostAllowed)
	}
	if err == nil {
		s.conn, err = dial(way{socket: s.socketThere, enter: s.visit})
	}
	if err != nil {
		s.leave()
		return nil, err
	}
	return s, nil
}

// openHome opens the network namespace of the calling thread; -1 with an error.
func openHome() (int, error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the host's network namespace: %w", err)
	}
	return fd, nil
}

// visit runs a function in the namespace. A thread that cannot return is not unlocked, so that
// nothing else ever runs on it. setns is called as it is: ns.Set does not wrap its error.
func (s *Sandbox) visit(run func() error) error {
	runtime.LockOSThread()
	if err := unix.Setns(int(s.netns.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace %s: %w", s.Path, err)
	}
	err := run()
	if back := unix.Setns(s.home, unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("return to the host's network namespace: %w", back))
	}
	runtime.UnlockOSThread()
	return err
}

func (s *Sandbox) leave() {
	s.netns.Close()
	if s.home >= 0 {
		unix.Close(s.home)
	}
}

func notOpened(path string, err error) error {
	var missing ns.NSPathNotExistErr
	var other ns.NSPathNotNSErr
	_, look := os.Stat(path) // ns.GetNS does not wrap what it found
	switch {
	case errors.As(err, &missing) || errors.Is(look, os.ErrNotExist) || errors.Is(look, unix.ENOTDIR):
		return fmt.Errorf("%s: %w", path, ErrNoNetns)
	case errors.As(err, &other):
		return fmt.Errorf("%s %w", path, ErrNotNetns)
	case look != nil:
		err = look
	}
	return fmt.Errorf("open network namespace %s: %w", path, err)
}

// check looks at what was opened: a mount namespace lives in the same file system (nsfs), so
// the kernel is asked for the type (NS_GET_NSTYPE, Linux 4.11).
func (s *Sandbox) check(hostAllowed bool) error {
	kind, err := unix.IoctlRetInt(int(s.netns.Fd()), unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		return fmt.Errorf("%s %w", s.Path, ErrNotNetns)
	}
	if hostAllowed {
		return nil
	}
	var host, it unix.Stat_t
	if err := unix.Fstat(s.home, &host); err != nil {
		return fmt.Errorf("look at the host's network namespace: %w", err)
	}
	if err := unix.Fstat(int(s.netns.Fd()), &it); err != nil {
		return fmt.Errorf("look at network namespace %s: %w", s.Path, err)
	}
	if host.Ino == it.Ino && host.Dev == it.Dev {
		return fmt.Errorf("%s %w", s.Path, ErrHostNetns)
	}
	return nil
}

// Close lets the namespace go.
func (s *Sandbox) Close() {
	s.close()
	s.leave()
}

// Link looks an interface of the container up by name. ErrNotFound if it is not there.
func (s *Sandbox) Link(name string) (*Link, error) { return s.byName(name) }

// Has reports whether the container has an interface of that name.
func (s *Sandbox) Has(name string) (bool, error) { return s.exists(name) }
