package link

import (
	"errors"
	"fmt"
	"os"
)

// An interface has no IPv6 if the kernel has none (booted with ipv6.disable=1), if its MTU is below
// 1280, or if net.ipv6.conf.<interface>.disable_ipv6 is 1. A new interface takes disable_ipv6 from
// conf.default. A write to conf.all is only copied to conf.default and to the interfaces that exist
// (addrconf_disable_ipv6): an interface that is set to 0 afterwards has IPv6, whatever conf.all is.

// minMTU6 is the smallest MTU of a link with IPv6, in bytes (RFC 8200 section 5).
const minMTU6 = 1280

// Reasons why a bridge cannot have IPv6 addresses.
var (
	ErrNoIPv6         = errors.New("kernel without IPv6")
	ErrShortMTU       = errors.New("too small for IPv6")
	ErrIPv6Switch     = errors.New("IPv6 is disabled")
	errNotCreatedHere = errors.New("bridge not created by Patchbay")
)

// disablePath returns the path of the sysctl disable_ipv6 of an interface, or of "default".
func disablePath(ifname string) string { return sysctl("ipv6", "conf", ifname, "disable_ipv6") }

// KnowsIPv6 returns an error that wraps ErrNoIPv6 if the kernel was booted without IPv6.
//
// That is ipv6.disable=1 on the kernel command line, or a kernel without CONFIG_IPV6. The
// parameter ipv6.disable_ipv6=1 is another one: it sets the sysctl of all interfaces, and
// the files exist (Documentation/networking/ipv6.rst).
func (h *Host) KnowsIPv6() error {
	if !hasIPv6() {
		return fmt.Errorf("%w: /proc/sys/net/ipv6/conf does not exist", ErrNoIPv6)
	}
	return nil
}

// IPv6SwitchName returns the name of the sysctl disable_ipv6 of an interface, in the form of sysctl(8).
func IPv6SwitchName(ifname string) string { return dotted(disablePath(ifname)) }

// MayHaveIPv6 returns the error that EnableIPv6 would return, and changes nothing. A nil bridge is one
// that ADD will create.
func (h *Host) MayHaveIPv6(b *Bridge) error {
	if err := h.KnowsIPv6(); err != nil {
		return err
	}
	if b == nil {
		return ipv6Error("new interfaces", settable(disablePath("default"), "0"))
	}
	return h.ipv6Of(b, settable)
}

// EnableIPv6 enables IPv6 on a bridge. On a bridge that Patchbay did not create this is left to its
// owner, and the error wraps ErrIPv6Switch.
//
// Our own bridge may have it disabled for two reasons: conf.default was 1 when it was
// created, as on hosts where IPv6 is disabled by sysctl.d, or a write to conf.all has
// disabled it since. The network configuration has an IPv6 range, so its administrator
// wants IPv6 on this bridge at least.
func (h *Host) EnableIPv6(b *Bridge) error {
	if b.Has6 && !b.Disabled6 { // the usual case, seen with the bridge
		return nil
	}
	if err := h.ipv6Of(b, setSysctl); err != nil {
		return err
	}
	b.Has6, b.Disabled6 = true, false
	return nil
}

// ipv6Of checks whether a bridge can have IPv6, and applies set to its disable_ipv6 if that is 1.
func (h *Host) ipv6Of(b *Bridge, set func(path, want string) error) error {
	switch {
	// The kernel removes IPv6, its addresses and its sysctls from an interface when its MTU
	// is set below 1280 (addrconf_notify, NETDEV_CHANGEMTU), so no file could be written
	// either.
	case b.MTU < minMTU6:
		return fmt.Errorf("MTU %d of bridge %s: %w", b.MTU, b.Name, ErrShortMTU)
	case !b.Disabled6:
		return nil
	case !b.Ours:
		return ipv6Error("bridge "+b.Name, sysctlError(disablePath(b.Name), "0", errNotCreatedHere))
	}
	return ipv6Error("bridge "+b.Name, set(disablePath(b.Name), "0"))
}

// ipv6Error returns an error that wraps ErrIPv6Switch and names the object, or nil if err is nil.
func ipv6Error(of string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w on %s: %w", ErrIPv6Switch, of, err)
}

// hasIPv6 reports whether the kernel, in the network namespace of the calling thread, has IPv6.
func hasIPv6() bool {
	_, err := os.Stat(sysctl("ipv6", "conf"))
	return err == nil
}
