package link

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// sysctl is a file under /proc/sys/net of the calling thread's network namespace.
func sysctl(parts ...string) string {
	return filepath.Join(append([]string{"/proc/sys/net"}, parts...)...)
}

// setSysctl writes a value unless it is there already; changed says which.
func setSysctl(path, want string) (changed bool, err error) {
	now, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(now)) == want {
		return false, nil
	}
	if err == nil {
		err = os.WriteFile(path, []byte(want), 0)
	}
	if err != nil {
		return false, fmt.Errorf("set %s to %s: %w", dotted(path), want, err)
	}
	return true, nil
}

func getSysctl(path string) string {
	now, _ := os.ReadFile(path)
	return strings.TrimSpace(string(now))
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
	_, err := setSysctl(forwardingPath(is4), "1")
	return err
}

func (h *Host) keepAdvertisedRoutes() error {
	filter := &netlink.Route{Dst: nil, Protocol: unix.RTPROT_RA}
	routes, err := h.handle.RouteListFiltered(netlink.FAMILY_V6, filter, netlink.RT_FILTER_DST|netlink.RT_FILTER_PROTOCOL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list advertised routes: %w", err)
	}
	for _, route := range routes {
		l, err := h.handle.LinkByIndex(route.LinkIndex)
		if err != nil {
			continue // it went away meanwhile, and its route with it
		}
		path := sysctl("ipv6", "conf", l.Attrs().Name, "accept_ra")
		if getSysctl(path) != "1" {
			continue
		}
		if _, err := setSysctl(path, "2"); err != nil {
			return err
		}
	}
	return nil
}

// is6 reports whether an address is an IPv6 one.
func is6(addr netip.Addr) bool { return addr.Is6() && !addr.Is4In6() }
