package link

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// sysctl is a file under /proc/sys/net of the calling thread's network namespace.
func sysctl(parts ...string) string {
	return filepath.Join(append([]string{"/proc/sys/net"}, parts...)...)
}

// setSysctl writes a value. Errors wrap *fs.PathError.
func setSysctl(path, want string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return unset(path, want, err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(want)); err != nil {
		return unset(path, want, err)
	}
	return nil
}

func unset(path, want string, err error) error {
	return fmt.Errorf("set %s to %s: %w", dotted(path), want, &fs.PathError{Op: "write", Path: path, Err: err})
}

// getSysctl reads a value; "" where there is none.
func getSysctl(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	value := make([]byte, 64)
	n, err := unix.Read(fd, value)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(value[:n]))
}

// dotted is the name that sysctl(8) and its files use.
func dotted(path string) string {
	return strings.ReplaceAll(strings.TrimPrefix(path, "/proc/sys/"), "/", ".")
}

// forwardingPath is the switch that makes the host a router for one family.
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

// MayForward says why EnableForwarding could not turn forwarding on, changing nothing; nil if it is
// on or could be turned on.
func (h *Host) MayForward(is4 bool) error {
	path := forwardingPath(is4)
	if getSysctl(path) == "1" {
		return nil
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("%s: %w", dotted(path), err)
	}
	return nil
}

// EnableForwarding makes the host a router for one family, if it is not one yet. A host that
// forwards IPv6 forgets default routes it has by router advertisement, unless the interface
// has accept_ra 2 (Documentation/networking/ip-sysctl.rst): interfaces that have such a route
// and accept_ra 1 are set to 2 before. Others are left alone: where accept_ra is 0 a program
// does the kernel's work and needs nothing.
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

func (h *Host) keepAdvertisedRoutes() error {
	filter := &netlink.Route{Dst: nil, Protocol: unix.RTPROT_RA}
	library, err := h.dumper()
	if err != nil {
		return err
	}
	routes, err := library.RouteListFiltered(netlink.FAMILY_V6, filter, netlink.RT_FILTER_DST|netlink.RT_FILTER_PROTOCOL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list advertised routes: %w", err)
	}
	for _, route := range routes {
		l, err := h.get(route.LinkIndex)
		if err != nil {
			continue // it went away meanwhile, and its route with it
		}
		path := sysctl("ipv6", "conf", l.Name, "accept_ra")
		if getSysctl(path) != "1" {
			continue
		}
		if err := setSysctl(path, "2"); err != nil {
			return err
		}
	}
	return nil
}

// is6 reports whether an address is an IPv6 one.
func is6(addr netip.Addr) bool { return addr.Is6() && !addr.Is4In6() }
