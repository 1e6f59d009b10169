package link

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Sysctl is a sysctl of a network namespace.
type Sysctl struct {
	Name  string // path below /proc/sys: "net/ipv4/conf/eth0/rp_filter"
	Value string
}

// maxSysctl is the longest value of a sysctl in bytes that is read: net.ipv4.ip_local_reserved_ports
// with every second port is the longest that is known.
const maxSysctl = 256 << 10

// ErrNotNet is about a sysctl that is not below /proc/sys/net: only those belong to a network namespace.
// All others are the host's.
var ErrNotNet = errors.New("not a sysctl of a network namespace")

// TuneError is the error of a sysctl of a container. It wraps the errno: ENOENT if the namespace has no
// such sysctl, EISDIR if it is a directory of them, EINVAL if the kernel refuses the value, EACCES, EPERM or EROFS if it cannot be written.
// EACCES is also the answer for a sysctl of the whole host that a namespace shows and cannot change.
type TuneError struct {
	Name, Value string // "net.ipv4.conf.eth0.rp_filter"; Value is "" if it was read
	Err         error
}

// Error names the sysctl and the value.
func (e *TuneError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("read %s of the container: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("set %s of the container to %q: %v", e.Name, e.Value, e.Err)
}

// Unwrap returns the errno.
func (e *TuneError) Unwrap() error { return e.Err }

// Dotted returns the name with dots, as sysctl(8) prints it.
func (s Sysctl) Dotted() string { return dotted(s.path()) }

func (s Sysctl) path() string { return "/proc/sys/" + s.Name }

// open opens the sysctl in the namespace of the calling thread.
//
// The name is checked here, although package config has checked it, because DEL takes it
// from a record: the file is opened by root.
func (s Sysctl) open(flags int) (fd int, err error) {
	path := s.path()
	if filepath.Clean(path) != path || !strings.HasPrefix(path, "/proc/sys/net/") {
		return -1, ErrNotNet
	}
	return unix.Open(path, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// readSysctls returns the sysctls with their present values, without those that cannot be read: their
// mode is 0200 (net.ipv4.route.flush), or they have no value yet (stable_secret of IPv6, EIO).
func (s *Sandbox) readSysctls(of []Sysctl) (now []Sysctl, err error) {
	if len(of) == 0 {
		return nil, nil
	}
	err = s.visit(func() error {
		for _, sysctl := range of {
			value, err := sysctl.read()
			switch {
			case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EISDIR), errors.Is(err, ErrNotNet):
				return &TuneError{Name: sysctl.Dotted(), Err: err}
			case err == nil:
				now = append(now, Sysctl{sysctl.Name, value})
			}
		}
		return nil
	})
	return now, err
}

// writeSysctls writes sysctls in order, and returns them with the values that the kernel then has.
func (s *Sandbox) writeSysctls(want []Sysctl) (has []Sysctl, err error) {
	if len(want) == 0 {
		return nil, nil
	}
	has = slices.Clone(want)
	err = s.visit(func() error {
		for i, sysctl := range want {
			if err := sysctl.write(); err != nil {
				return &TuneError{sysctl.Dotted(), sysctl.Value, err}
			}
			if value, err := sysctl.read(); err == nil {
				has[i].Value = value
			}
		}
		return nil
	})
	return has, err
}

// write writes the value in one call: the kernel takes only what begins at offset 0
// (sysctl_writes_strict).
func (s Sysctl) write() error {
	fd, err := s.open(unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	n, err := unix.Write(fd, []byte(s.Value))
	if err == nil && n < len(s.Value) {
		err = unix.EINVAL // the kernel read a part of it
	}
	return err
}

// read reads the value without the newline at its end.
func (s Sysctl) read() (string, error) {
	fd, err := s.open(unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	value := make([]byte, 0, 256)
	for len(value) < maxSysctl {
		value = slices.Grow(value, 256)
		n, err := unix.Read(fd, value[len(value):cap(value)])
		if err != nil {
			return "", err
		}
		if n == 0 {
			break
		}
		value = value[:len(value)+n]
	}
	return strings.TrimSuffix(string(value), "\n"), nil
}

// SameValue reports whether two values of a sysctl are the same for the kernel: it separates numbers by
// tabs, whatever was written, and reads 0x10 and 020 as 16.
func SameValue(a, b string) bool {
	return slices.EqualFunc(strings.Fields(a), strings.Fields(b), func(a, b string) bool {
		m, err1 := strconv.ParseInt(a, 0, 64)
		n, err2 := strconv.ParseInt(b, 0, 64)
		return a == b || err1 == nil && err2 == nil && m == n
	})
}
