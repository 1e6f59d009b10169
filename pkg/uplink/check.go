package uplink

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

var (
	// ErrRefused reports an interface that cannot become the port of a bridge, or should not.
	ErrRefused = errors.New("cannot be the uplink of a bridge")
	// ErrManaged reports an uplink whose addresses another program of the host renews.
	ErrManaged = errors.New("is managed by another program")
)

// refuse returns an ErrRefused with its reason and the remedy.
func refuse(name, reason, remedy string) error {
	return fmt.Errorf("%s %w: %s; %s", name, ErrRefused, reason, remedy)
}

// Check reports why an interface cannot become the uplink of a new bridge. Errors wrap ErrNotFound, ErrExists,
// ErrRefused, or ErrManaged, which alone is omitted with force. It changes nothing.
func (k *Kernel) Check(uplink, bridge string, force bool) error {
	if !validName(bridge) {
		return fmt.Errorf("bridge name %q: want 1 to 15 characters without white space, slashes and colons", bridge)
	}
	all, err := k.links()
	if err != nil {
		return err
	}
	var l *device
	for _, d := range all {
		if d.name == bridge {
			return fmt.Errorf("%s: %w; choose another name%s", bridge, ErrExists, ifMade(d))
		}
		if d.name == uplink {
			l = d
		}
	}
	if l == nil {
		return fmt.Errorf("%s: %w", uplink, ErrNotFound)
	}
	for _, err := range []error{checkKind(l), checkPort(l, all), checkUppers(l, all), checkCarrier(l), k.checkRoutes(l)} {
		if err != nil {
			return err
		}
	}
	return k.checkManaged(l, force)
}

// CheckSettled returns an ErrRefused while the kernel checks an address of an interface for a duplicate: Move would do so too early.
func (k *Kernel) CheckSettled(uplink string) error {
	l, err := k.link(uplink)
	if err != nil {
		return err
	}
	addresses, err := k.addresses(l.index)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		if a.is6() && a.flags()&unix.IFA_F_TENTATIVE != 0 {
			return refuse(l.name, fmt.Sprintf("the kernel still checks its address %s for a duplicate", a.prefix()), "try again in a few seconds")
		}
	}
	return nil
}

func ifMade(d *device) string {
	if !d.made() {
		return ""
	}
	return fmt.Sprintf(", or delete it: %s", printable.Command("patchbay", "bridge", "delete", d.name))
}

// validName reports whether the kernel takes a name for an interface (dev_valid_name).
func validName(name string) bool {
	return name != "" && len(name) < unix.IFNAMSIZ && name != "." && name != ".." && !strings.ContainsAny(name, "/: \t\n\v\f\r\x00")
}

// Names returns the names of the interfaces of the host, for suggestions.
func (k *Kernel) Names() (names []string) {
	all, _ := k.links()
	for _, d := range all {
		names = append(names, d.name)
	}
	return names
}

// checkKind refuses interfaces that the kernel does not take as a port, and those that carry no frames of other hosts.
func checkKind(l *device) error {
	wired := "use a wired interface"
	switch {
	case l.flags&unix.IFF_LOOPBACK != 0:
		return refuse(l.name, "it is the loopback interface", "use the interface that leads to the network")
	case wireless(l.name):
		return refuse(l.name, "it is wireless, and an access point drops frames of other machines than the station", wired+", or a routed network (patchbay up)")
	case l.kind == "bridge":
		return refuse(l.name, "it is a bridge already", fmt.Sprintf("use it as it is: patchbay up NAME --network %s", printable.Name(l.name)))
	case l.hardware != unix.ARPHRD_ETHER:
		return refuse(l.name, "it carries no Ethernet frames", wired)
	case l.kind == "tun":
		return refuse(l.name, "it is the tap of a virtual machine or of a VPN", wired)
	case slices.Contains([]string{"macvlan", "macvtap", "ipvlan", "ipvtap"}, l.kind):
		return refuse(l.name, "it is a "+l.kind+" interface, which receives only its own frames", "use the interface below it")
	}
	return nil
}

// wireless reports whether an interface is of the wireless subsystem (Documentation/ABI/testing/sysfs-class-net).
func wireless(name string) bool {
	for _, file := range []string{"phy80211", "wireless"} {
		if _, err := os.Lstat(filepath.Join(sysClassNet, name, file)); err == nil {
			return true
		}
	}
	return false
}

// sysClassNet has a directory for each interface.
const sysClassNet = "/sys/class/net"

// checkPort refuses an interface that has a master already.
func checkPort(l *device, all []*device) error {
	if l.master == 0 {
		return nil
	}
	master := "another interface"
	for _, d := range all {
		if d.index == l.master {
			master = d.name
		}
	}
	switch l.masterKind {
	case "bridge":
		return refuse(l.name, "it is a port of bridge "+master, fmt.Sprintf("use that bridge: patchbay up NAME --network %s", printable.Name(master)))
	case "bond", "team":
		return refuse(l.name, "it is a slave of "+l.masterKind+" "+master, fmt.Sprintf("use the %s: --uplink %s", l.masterKind, printable.Name(master)))
	}
	return refuse(l.name, "it belongs to "+master, "remove it from there first")
}

// checkUppers refuses an interface whose frames the kernel passes to another receiver already: it has one only.
func checkUppers(l *device, all []*device) error {
	for _, d := range all {
		if d.lower == l.index && !d.peer && slices.Contains([]string{"macvlan", "macvtap", "ipvlan", "ipvtap"}, d.kind) {
			return refuse(l.name, fmt.Sprintf("the %s interface %s uses it", d.kind, d.name), "delete that interface first")
		}
	}
	return nil
}

func checkCarrier(l *device) error {
	switch {
	case l.flags&unix.IFF_UP == 0:
		return refuse(l.name, "it is down", "set it up: "+printable.Command("ip", "link", "set", l.name, "up"))
	case l.flags&unix.IFF_LOWER_UP == 0:
		return refuse(l.name, "it has no carrier", "connect it first")
	}
	return nil
}

// checkRoutes refuses routes that Move could not restore in their order, or at all.
func (k *Kernel) checkRoutes(l *device) error {
	all, err := k.allRoutes()
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.automatic() || !r.uses(l.index) {
			continue
		}
		if r.attribute(rtaNextHopID) != nil {
			return refuse(l.name, fmt.Sprintf("route %s uses a next hop object (ip nexthop)", r), "replace it by a route with a gateway")
		}
		for _, other := range all {
			if !other.uses(l.index) && !other.automatic() && other.competes(r) {
				return refuse(l.name, fmt.Sprintf("another interface has the route %s as well, and the older one counts", r), "give one of the two another metric")
			}
		}
	}
	return nil
}

// competes reports whether two routes differ in the interface and the gateway only.
func (r route) competes(other route) bool {
	return r.family() == other.family() && r.table() == other.table() && r.destination() == other.destination() && r[3] == other[3] &&
		number32(r.attribute(unix.RTA_PRIORITY)) == number32(other.attribute(unix.RTA_PRIORITY))
}
