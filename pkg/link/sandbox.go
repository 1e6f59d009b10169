package link

import (
	"errors"
	"fmt"
	"os"

	"github.com/containernetworking/plugins/pkg/ns"
	"golang.org/x/sys/unix"
)

// Sandbox is the network namespace of a container. It is opened once; whatever happens to the
// path meanwhile, all work goes to the namespace that was opened.
type Sandbox struct {
	*conn
	Path  string // as the runtime gave it
	netns ns.NetNS
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
	if err := s.check(hostAllowed); err != nil {
		netns.Close()
		return nil, err
	}
	s.conn, err = dial(func(run func() error) error {
		return netns.Do(func(ns.NetNS) error { return run() })
	})
	if err != nil {
		netns.Close()
		return nil, fmt.Errorf("enter %s: %w", path, err)
	}
	return s, nil
}

func notOpened(path string, err error) error {
	var missing ns.NSPathNotExistErr
	var other ns.NSPathNotNSErr
	switch {
	case errors.As(err, &missing) || errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s: %w", path, ErrNoNetns)
	case errors.As(err, &other):
		return fmt.Errorf("%s %w", path, ErrNotNetns)
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
	if err := unix.Stat("/proc/thread-self/ns/net", &host); err != nil {
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
	s.netns.Close()
}

// Link looks an interface of the container up by name. ErrNotFound if it is not there.
func (s *Sandbox) Link(name string) (*Link, error) { return s.link(name) }

// Has reports whether the container has an interface of that name.
func (s *Sandbox) Has(name string) (bool, error) { return s.exists(name) }
