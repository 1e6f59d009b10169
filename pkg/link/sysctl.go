package link

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// sysctl returns the path of a file under /proc/sys/net, which shows the network namespace of the thread
// that opens it.
//
// The directories conf/all and conf/default act differently from one sysctl to the next
// (Documentation/networking/ip-sysctl.rst):
//
//	forwarding, disable_ipv6      a write to all is copied to default and to every interface
//	rp_filter, accept_dad         the larger of all and the interface counts
//	route_localnet                one of the two is enough; so for promote_secondaries
//	accept_ra, autoconf           the interface alone counts
//
// A write to default changes interfaces that are created later, and no others.
func sysctl(parts ...string) string {
	return filepath.Join(append([]string{"/proc/sys/net"}, parts...)...)
}

// weight is the consequence of a setting that does not have its value and cannot be set.
type weight int

const (
	needed   weight = iota // the network does not work without it: an error
	safety                 // the network works, but a host on the link can abuse the old value: a warning
	optional               // the network works, with a delay or a needless packet: neither
)

// setting is a sysctl and the value that it must have. A setting is read before it is written: one that
// is already right needs no permission, for example where /proc/sys is mounted read-only. Writing also
// costs more than reading: for disable_ipv6 and forwarding Linux restarts the system call until it gets
// the RTNL lock (restart_syscall).
type setting struct {
	path, want string
	weight     weight
}

// ensure sets a sysctl unless it has its value. The error of a needed setting is a *SysctlError; other
// settings return no error, and a safety setting is reported to warn, which may be nil.
func (s setting) ensure(warn func(string)) error {
	fd, err := unix.Open(s.path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil { // a sysctl that cannot be opened for writing may have its value
		if getSysctl(s.path) == s.want {
			return nil
		}
		return s.outcome(sysctlError(s.path, s.want, err), warn)
	}
	defer unix.Close(fd)
	if readSysctl(fd) == s.want {
		return nil
	}
	return s.outcome(writeSysctl(fd, s.path, s.want), warn)
}

// outcome turns the error of a write into that of ensure. A safety setting that does not exist is not
// reported: a kernel without the sysctl does not have the behaviour that it would disable.
//
// EROFS is the usual error: runtimes mount /proc/sys read-only in containers, and kind and
// k3s nodes are containers. EACCES and EPERM come from user namespaces and from security
// modules.
func (s setting) outcome(err error, warn func(string)) error {
	if err == nil || s.weight == needed {
		return err
	}
	if s.weight == safety && warn != nil && !errors.Is(err, fs.ErrNotExist) {
		warn(err.Error())
	}
	return nil
}

// SysctlError is the error of a sysctl that cannot be set. It wraps ErrSysctl and the kernel's errno.
type SysctlError struct {
	Name, Want string // "net.ipv4.ip_forward", "1"
	Err        error
}

// Error names the sysctl and the value.
func (e *SysctlError) Error() string { return fmt.Sprintf("set %s to %s: %v", e.Name, e.Want, e.Err) }

// Unwrap returns ErrSysctl and the kernel's errno.
func (e *SysctlError) Unwrap() []error { return []error{ErrSysctl, e.Err} }

// setSysctl writes a value. The error is a *SysctlError.
//
// For /proc/sys/net CAP_NET_ADMIN in the user namespace of the network namespace is enough
// (net_ctl_permissions).
func setSysctl(path, want string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return sysctlError(path, want, err)
	}
	defer unix.Close(fd)
	return writeSysctl(fd, path, want)
}

// writeSysctl writes a value to an open sysctl. It is written in one call: the kernel takes only what
// begins at offset 0 (sysctl_writes_strict).
func writeSysctl(fd int, path, want string) error {
	if _, err := unix.Write(fd, []byte(want)); err != nil {
		return sysctlError(path, want, err)
	}
	return nil
}

// sysctlError returns the *SysctlError of a path.
func sysctlError(path, want string, err error) error { return &SysctlError{dotted(path), want, err} }

// settable returns the *SysctlError that setting a sysctl would cause, and changes nothing; nil if the
// sysctl has the value or may be written.
func settable(path, want string) error {
	if getSysctl(path) == want {
		return nil
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
		return sysctlError(path, want, err)
	}
	return nil
}

// getSysctl reads a value; "" if it cannot be read.
func getSysctl(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	return readSysctl(fd)
}

// readSysctl reads the value of an open sysctl, and leaves its offset at 0 for writeSysctl; "" if it
// cannot be read.
func readSysctl(fd int) string {
	value := make([]byte, 64)
	n, err := unix.Pread(fd, value, 0)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(value[:n]))
}

// dotted returns the name that sysctl(8) and sysctl.d(5) use: dots instead of slashes, and a slash for a
// dot in the name of an interface (net.ipv4.conf.eth0/100.forwarding).
func dotted(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/proc/sys/"), "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(part, ".", "/")
	}
	return strings.Join(parts, ".")
}

// forwardingPath returns the path of the sysctl that makes the host a router for one family.
func forwardingPath(is4 bool) string {
	if is4 {
		return sysctl("ipv4", "ip_forward")
	}
	return sysctl("ipv6", "conf", "all", "forwarding")
}

// Forwarding reports whether the host routes packets of a family.
func (h *Host) Forwarding(is4 bool) bool {
	return getSysctl(forwardingPath(is4)) == "1"
}

// MayForward returns the error that EnableForwarding would return, and changes nothing.
func (h *Host) MayForward(is4 bool) error { return settable(forwardingPath(is4), "1") }

// EnableForwarding makes the host a router for one family, unless it is one. A host that forwards IPv6
// deletes the default routes that it has by router advertisement, unless the interface has accept_ra 2
// (Documentation/networking/ip-sysctl.rst): interfaces that have such a route and accept_ra 1 are set to
// 2 first. An interface with accept_ra 0 is left alone: there a program such as systemd-networkd handles
// router advertisements itself.
//
// The routes are deleted at once (rt6_purge_dflt_routers), and the host then ignores
// advertisements, so they do not come back. Podman issue 6114 and moby issue 43466 report
// hosts that lost their network this way.
func (h *Host) EnableForwarding(is4 bool) error {
	if h.Forwarding(is4) {
		return nil
	}
	if !is4 {
		if err := h.keepAdvertisedRoutes(); err != nil {
			return err
		}
	}
	return setSysctl(forwardingPath(is4), "1")
}

// keepAdvertisedRoutes sets accept_ra to 2 on interfaces with a default route by router advertisement.
func (h *Host) keepAdvertisedRoutes() error {
	names, err := h.AdvertisedLinks()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := setSysctl(sysctl("ipv6", "conf", name, "accept_ra"), "2"); err != nil && !errors.Is(err, fs.ErrNotExist) { // or it was deleted just now
			return err
		}
	}
	return nil
}

// AdvertisedLinks returns the names of the interfaces that have a default route by router advertisement, and accept_ra 1: for these
// EnableForwarding sets accept_ra to 2.
func (h *Host) AdvertisedLinks() (names []string, err error) {
	filter := &netlink.Route{Dst: nil, Protocol: unix.RTPROT_RA}
	library, err := h.dumper()
	if err != nil {
		return nil, err
	}
	routes, err := library.RouteListFiltered(netlink.FAMILY_V6, filter, netlink.RT_FILTER_DST|netlink.RT_FILTER_PROTOCOL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list routes learned from router advertisements: %w", err)
	}
	for _, route := range routes {
		l, err := h.get(route.LinkIndex)
		if err != nil {
			continue // the interface was deleted meanwhile, and its routes with it
		}
		if getSysctl(sysctl("ipv6", "conf", l.Name, "accept_ra")) == "1" && !slices.Contains(names, l.Name) {
			names = append(names, l.Name)
		}
	}
	return names, nil
}

// is6 reports whether an address is an IPv6 one.
func is6(addr netip.Addr) bool { return addr.Is6() && !addr.Is4In6() }
