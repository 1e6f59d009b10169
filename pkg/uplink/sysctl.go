package uplink

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// confDir returns the directory of an interface's settings.
func confDir(family, name string) string { return filepath.Join("/proc/sys/net", family, "conf", name) }

// sysctl reads a setting; "" if it cannot be read, as stable_secret before it is set. There are a few hundred, so it makes no more
// system calls than it needs.
func sysctl(path string) string {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	value := make([]byte, 256) // of one interface, the longest is an address
	n, err := unix.Read(fd, value)
	if err != nil || n < 0 {
		return ""
	}
	return strings.TrimSpace(string(value[:n]))
}

// setSysctl writes a setting unless it has its value. One that does not exist is no error.
func setSysctl(path, value string) error {
	if sysctl(path) == value {
		return nil
	}
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		_, err = unix.Write(fd, []byte(value))
		err = errors.Join(err, unix.Close(fd))
	}
	if err != nil {
		return fmt.Errorf("set %s to %s: %w", path, value, err)
	}
	return nil
}

// copySettings gives the bridge the settings of the uplink, so that it accepts router advertisements and filters
// sources as the uplink did.
func copySettings(uplink, bridge string) error {
	for _, family := range []string{"ipv4", "ipv6"} {
		names, err := safefile.Names(confDir(family, uplink), 1000)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return err
		}
		slices.Sort(names)
		for _, name := range names {
			value := sysctl(filepath.Join(confDir(family, uplink), name))
			if value == "" || name == "mtu" || isHeld(family, name) {
				continue // mtu is that of the link
			}
			if err := setSysctl(filepath.Join(confDir(family, bridge), name), value); err != nil {
				return err
			}
		}
	}
	return nil
}

// held are the settings of the bridge while addresses are moved, each by family and name.
//
// rp_filter: 2 is loose, and the larger value of conf/all and of the interface counts. A strict filter would drop what
// arrives through the bridge while the routes still lead through the uplink.
//
// accept_dad: 0 makes the link-local address of the bridge usable at once. It is that of the uplink, and the kernel
// resolves IPv6 neighbours with it as the source.
func held() []hold {
	return []hold{{"ipv4", "rp_filter", "2"}, {"ipv6", "accept_dad", "0"}}
}

// hold is a setting and its value for some time.
type hold struct{ family, name, value string }

func (h hold) path(of string) string { return filepath.Join(confDir(h.family, of), h.name) }

func isHeld(family, name string) bool {
	return slices.ContainsFunc(held(), func(h hold) bool { return h.family == family && h.name == name })
}

// holdSettings sets the settings that apply while addresses are moved.
func holdSettings(bridge string) error {
	for _, h := range held() {
		if err := setSysctl(h.path(bridge), h.value); err != nil {
			return err
		}
	}
	return nil
}

// releaseSettings gives these settings the values of the uplink.
func releaseSettings(uplink, bridge string) error {
	for _, h := range held() {
		value := sysctl(h.path(uplink))
		if value == "" {
			continue
		}
		if err := setSysctl(h.path(bridge), value); err != nil {
			return err
		}
	}
	return nil
}

// AcceptsAdvertisements reports whether the kernel itself handles router advertisements of an interface: if it
// accepts them (1), and also as a router (2).
func AcceptsAdvertisements(name string) bool {
	dir := confDir("ipv6", name)
	switch sysctl(filepath.Join(dir, "accept_ra")) {
	case "1":
		return sysctl(filepath.Join(dir, "forwarding")) == "0"
	case "2":
		return true
	}
	return false
}
