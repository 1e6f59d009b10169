package uplink

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// checkManaged refuses an uplink whose addresses end unless a program of the host renews them, or which a program
// of the host manages that removes addresses of its interfaces.
func (k *Kernel) checkManaged(l *device, force bool) error {
	addresses, err := k.addresses(l.index)
	if err != nil {
		return err
	}
	if force {
		return nil
	}
	if client := clientOf(l); client != "" {
		return managed(l.name, client+" renews its addresses")
	}
	for _, a := range addresses {
		if renewed(l.name, a) {
			return managed(l.name, fmt.Sprintf("the address %s ends unless a DHCP client renews it", a.prefix()))
		}
	}
	if byNetworkManager(l) {
		return fmt.Errorf("%s %w: NetworkManager, which may take it out of the bridge when it activates its connection again; let NetworkManager have the bridge from the next boot on: --force --persist NetworkManager --write",
			l.name, ErrManaged)
	}
	return nil
}

// byNetworkManager reports whether NetworkManager manages an interface. It has a file of each that it has seen.
func byNetworkManager(l *device) bool {
	path := filepath.Join("/run/NetworkManager/devices", strconv.Itoa(l.index))
	if _, err := os.Lstat(path); err != nil {
		return false
	}
	text, _ := safefile.Read(path, safefile.Rules{})
	return !slices.Contains(strings.Split(string(text), "\n"), "managed=false")
}

func managed(name, reason string) error {
	return fmt.Errorf("%s %w: %s, and does not do so on a bridge; configure the bridge there (--persist NAME --dry-run prints how), or give %s a static address; with --force the present address moves and ends with its lease",
		name, ErrManaged, reason, name)
}

// renewed reports whether a DHCP client renews an address. IPv6 addresses with a lifetime are those of router
// advertisements, which the bridge receives too, if the kernel accepts them; a DHCPv6 client has single addresses.
func renewed(name string, a address) bool {
	if !a.dynamic() {
		return false
	}
	return !a.is6() || a.prefix().Bits() == 128 || !AcceptsAdvertisements(name)
}

// clientOf names the DHCP client of an interface, by its lease or its process; "" without one.
func clientOf(l *device) string {
	if _, err := os.Lstat(filepath.Join("/run/systemd/netif/leases", strconv.Itoa(l.index))); err == nil {
		return "systemd-networkd"
	}
	const most = 1 << 16
	names, _ := safefile.Names("/proc", most)
	for _, pid := range names {
		if pid[0] < '1' || pid[0] > '9' {
			continue
		}
		line, err := safefile.Read(filepath.Join("/proc", pid, "cmdline"), safefile.Rules{AnyOwner: true})
		if err != nil {
			continue
		}
		words := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		if program := filepath.Base(words[0]); isClient(program) && slices.Contains(words[1:], l.name) && sameNamespace(pid) {
			return program
		}
	}
	return ""
}

func isClient(program string) bool {
	return slices.Contains([]string{"dhclient", "dhcpcd", "udhcpc", "udhcpc6", "dhcp6c"}, program)
}

// sameNamespace reports whether a process is in the network namespace of this one.
func sameNamespace(pid string) bool {
	theirs, err := os.Readlink(filepath.Join("/proc", pid, "ns/net"))
	ours, failed := os.Readlink("/proc/self/ns/net")
	return err == nil && failed == nil && theirs == ours
}
