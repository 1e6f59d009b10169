package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Mark is the alias of the devices of this package.
const Mark = "overlay of patchbay-agent"

// ErrForeign is wrapped if an interface has the name of a device and was made by another program.
var ErrForeign = errors.New("another program has made an interface of this name")

// Host is a connection to rtnetlink in one network namespace. It is for one goroutine.
type Host struct {
	library *netlink.Handle // for devices and addresses
	socket  *nlsock.Socket  // for entries, whose dumps the kernel filters
}

// Open opens sockets in the network namespace of the calling thread. Close it when done.
func Open() (*Host, error) {
	library, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	socket, err := nlsock.Open(unix.NETLINK_ROUTE)
	if err != nil {
		library.Close()
		return nil, err
	}
	return &Host{library, socket}, nil
}

// Close closes the sockets.
func (h *Host) Close() {
	h.library.Close()
	h.socket.Close()
}

// Index returns the index of a device of this package, 0 if there is none of this name.
func (h *Host) Index(name string) (int, error) {
	device, err := h.find(name)
	if device == nil || errors.Is(err, ErrForeign) {
		return 0, nil
	}
	return device.Index, err
}

// find returns a device of this package, nil if there is no interface of this name. Errors wrap ErrForeign.
func (h *Host) find(name string) (*netlink.Vxlan, error) {
	found, err := h.library.LinkByName(name)
	var missing netlink.LinkNotFoundError
	switch {
	case errors.As(err, &missing):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up interface %s: %w", name, err)
	}
	device, is := found.(*netlink.Vxlan)
	if is && device.Name == name && (device.Alias == Mark || derived(device)) {
		return device, nil
	}
	return nil, fmt.Errorf("interface %s: %w (kind %s, alias %q)", name, ErrForeign, found.Type(), found.Attrs().Alias)
}

// derived reports whether the MAC of a device is derived from its source address.
func derived(v *netlink.Vxlan) bool {
	local := localOf(v)
	return local.IsValid() && v.HardwareAddr.String() == cluster.MACOf(local).String()
}

func localOf(v *netlink.Vxlan) netip.Addr {
	local, _ := netip.AddrFromSlice(v.SrcAddr)
	return local.Unmap()
}

// Ensure makes a device, or makes the one that exists as it is to be. What cannot be changed in place is changed by making the device anew:
// its entries, and routes through it, then go with the old one. It returns the index, and what was done in a few words, "" if nothing was.
// Errors wrap ErrForeign.
func (h *Host) Ensure(d cluster.Device) (index int, change string, err error) {
	device, err := h.find(d.Name)
	if err != nil {
		return 0, "", err
	}
	change = "made"
	if device != nil && same(device, d) {
		change, err = h.finish(device, d)
		return device.Index, change, err
	}
	if device != nil {
		change = "made anew"
		if err := h.library.LinkDel(device); err != nil {
			return 0, "", fmt.Errorf("delete interface %s, to make it anew: %w", d.Name, err)
		}
	}
	if device, err = h.create(d); err != nil {
		return 0, "", err
	}
	_, err = h.finish(device, d)
	return device.Index, change, err
}

// same reports whether what only the creation of a device sets is as it is to be.
func same(v *netlink.Vxlan, d cluster.Device) bool {
	return v.VxlanId == d.VNI && v.Port == d.Port && localOf(v) == d.Local && len(v.Group) == 0 && v.VtepDevIndex == 0 &&
		!v.Learning && !v.Proxy && !v.RSC && !v.L2miss && !v.L3miss && !v.FlowBased && !v.GBP
}

// create creates a device, which is down and has no alias yet.
//
// With a MAC in the request the kernel does not call it random (addr_assign_type), so that systemd-udevd does not replace it
// (MACAddressPolicy=persistent).
func (h *Host) create(d cluster.Device) (*netlink.Vxlan, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = d.Name, d.MTU, net.HardwareAddr(d.MAC[:])
	err := h.library.LinkAdd(&netlink.Vxlan{LinkAttrs: attrs, VxlanId: d.VNI, Port: d.Port, SrcAddr: d.Local.AsSlice(), Learning: false})
	switch {
	case errors.Is(err, unix.EEXIST): // there is no interface of this name
		return nil, fmt.Errorf("create interface %s: another VXLAN device has VNI %d and port %d: delete it, or set vxlanVNI on all nodes", d.Name, d.VNI, d.Port)
	case errors.Is(err, unix.EOPNOTSUPP):
		return nil, fmt.Errorf("create interface %s: %w: the kernel has no VXLAN (CONFIG_VXLAN, module vxlan)", d.Name, err)
	case err != nil:
		return nil, fmt.Errorf("create interface %s: %w", d.Name, err)
	}
	device, err := h.find(d.Name)
	if device == nil && err == nil {
		err = fmt.Errorf("create interface %s: it was deleted at once", d.Name)
	}
	return device, err
}

// finish sets what can be changed in place. The device is set up last: one that is down is not finished.
func (h *Host) finish(v *netlink.Vxlan, d cluster.Device) (change string, err error) {
	for _, step := range []struct {
		what string
		need bool
		do   func() error
	}{
		{"alias", v.Alias != Mark, func() error { return h.library.LinkSetAlias(v, Mark) }},
		{"ARP off", v.RawFlags&unix.IFF_NOARP == 0, func() error { return h.library.LinkSetARPOff(v) }},
		{"address", v.HardwareAddr.String() != d.MAC.String(), func() error { return h.library.LinkSetHardwareAddr(v, d.MAC[:]) }},
		{"mtu", v.MTU != d.MTU, func() error { return h.library.LinkSetMTU(v, d.MTU) }},
		{"up", v.RawFlags&unix.IFF_UP == 0, func() error { return h.setUp(v) }},
	} {
		if !step.need {
			continue
		}
		if err := step.do(); err != nil {
			return change, fmt.Errorf("set %s of interface %s: %w", step.what, d.Name, err)
		}
		if change != "" {
			change += ", "
		}
		change += step.what
	}
	return change, nil
}

// setUp sets a device up, without a link-local address, which would be announced.
func (h *Host) setUp(v *netlink.Vxlan) error {
	const none = 1 // IN6_ADDR_GEN_MODE_NONE, linux/if_link.h
	err := h.library.LinkSetIP6AddrGenMode(v, none)
	if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EOPNOTSUPP) { // a kernel without IPv6
		return err
	}
	if err := h.forward(v.Index); err != nil {
		return err
	}
	err = h.library.LinkSetUp(v)
	if errors.Is(err, unix.EADDRINUSE) {
		err = fmt.Errorf("%w: another program has UDP port %d: end it, or set vxlanPort on all nodes", err, v.Port)
	}
	return err
}

// forward lets the host forward IPv4 packets that the device has received, whatever net.ipv4.conf.default.forwarding was when it was made
// (IFLA_AF_SPEC, AF_INET, IFLA_INET_CONF, IPV4_DEVCONF_FORWARDING: linux/if_link.h, linux/ip.h).
func (h *Host) forward(index int) error {
	const inetConf, forwarding = 1, 1
	value := nlsock.AppendAttribute(nil, forwarding, binary.NativeEndian.AppendUint32(nil, 1))
	inet := nlsock.AppendAttribute(nil, unix.AF_INET, nlsock.AppendAttribute(nil, inetConf, value))
	return h.execute(unix.RTM_NEWLINK, 0, nlsock.AppendAttribute(linkHeader(index), unix.IFLA_AF_SPEC, inet))
}

// Remove deletes a device of this package. It reports whether there was one; an interface of another program stays, without an error.
func (h *Host) Remove(name string) (bool, error) {
	device, err := h.find(name)
	if device == nil || errors.Is(err, ErrForeign) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = h.library.LinkDel(device)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return false, fmt.Errorf("delete interface %s: %w", name, err)
	}
	return true, nil
}

// SetAddresses gives a device these addresses, and removes other single ones that are within the networks of the cluster.
func (h *Host) SetAddresses(index int, want, within []netip.Prefix) error {
	device := &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Index: index}}
	found, err := h.library.AddrList(device, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list addresses: %w", err)
	}
	have := map[netip.Prefix]bool{}
	for i := range found {
		addr, _ := netip.AddrFromSlice(found[i].IP)
		bits, _ := found[i].Mask.Size()
		prefix := netip.PrefixFrom(addr.Unmap(), bits)
		have[prefix] = true
		inside := slices.ContainsFunc(within, func(all netip.Prefix) bool { return all.Contains(prefix.Addr()) })
		if !prefix.IsSingleIP() || !inside || slices.Contains(want, prefix) {
			continue
		}
		if err := h.library.AddrDel(device, &found[i]); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("delete address %s: %w", prefix, err)
		}
	}
	for _, prefix := range want {
		if have[prefix] {
			continue
		}
		ip := &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Bits())}
		if err := h.library.AddrAdd(device, &netlink.Addr{IPNet: ip, Flags: unix.IFA_F_NODAD}); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add address %s: %w", prefix, err)
		}
	}
	return nil
}
