package link

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/kmod"
)

// BridgeAlias is the alias (IFLA_IFALIAS) of a bridge that Patchbay created. A bridge without it was
// created by an administrator or another program and keeps its MAC, MTU and addresses. The alias is in
// the kernel, so that it disappears with the bridge and cannot disagree with it as a file could.
const BridgeAlias = "patchbay:bridge"

// BridgeSpec describes the bridge that a network configuration asks for. MTU, MAC and the families
// apply only to a bridge that EnsureBridge has to create.
//
// Promisc is the key promiscMode of the reference bridge plugin. The kernel keeps it apart
// from the count of packet sockets such as tcpdump's: dev_get_flags reports IFF_PROMISC
// only if it was set by flags. It is not cleared, because another network may share the
// bridge.
type BridgeSpec struct {
	Name    string
	MTU     int  // bytes; 0: the MTU of the route to the internet, see uplinkMTU
	IPv4    bool // containers get addresses of this family; neither is set: unknown
	IPv6    bool
	MAC     net.HardwareAddr // nil: a random one
	Promisc bool             // set IFF_PROMISC; it is never cleared again
	VLANs   bool             // it must filter by VLAN; also of a bridge that exists
}

// Bridge is a bridge as it was found or created.
type Bridge struct {
	Link
	Ours bool // Patchbay created it: it has BridgeAlias
}

// Bridge looks up a bridge by name. Errors wrap ErrNotFound or ErrNotBridge.
func (h *Host) Bridge(name string) (*Bridge, error) {
	l, err := h.byName(name)
	if err != nil {
		return nil, err
	}
	if l.Kind != "bridge" {
		return nil, fmt.Errorf("interface %s (%s): %w", name, l.Kind, ErrNotBridge)
	}
	return &Bridge{Link: *l, Ours: l.Alias == BridgeAlias}, nil
}

// EnsureBridge returns the bridge of a network, created if it does not exist, and sets it up. It is
// idempotent, and any number of processes may call it at the same time without a lock: the kernel
// refuses a second bridge of one name (EEXIST), and each process then uses the bridge of the first one.
// A bridge that is down may be one that another process is creating at this moment, one whose creator
// was killed, or one that an administrator set down; awaitCreator and the group unfinished
// distinguish the three.
//
// No lock is taken: a lock in the file system would not exclude docker, libvirt or an
// administrator, who create bridges too. The kernel serializes all of them by the RTNL
// lock.
func (h *Host) EnsureBridge(spec BridgeSpec) (*Bridge, error) {
	b, err := h.Bridge(spec.Name)
	if errors.Is(err, ErrNotFound) {
		b, err = h.createBridge(spec)
	}
	if err == nil && !b.Up {
		b, err = h.awaitCreator(b)
	}
	if errors.Is(err, ErrNotFound) { // its creator failed, and has removed it
		b, err = h.createBridge(spec)
	}
	if err == nil && !b.Up && b.group == unfinished { // its creator was killed
		b, err = h.finishBridge(b, spec)
	}
	if err != nil {
		return nil, err
	}
	if !b.Up {
		if err := h.setUp(b.Index); err != nil {
			return nil, fmt.Errorf("set bridge %s up: %w", spec.Name, err)
		}
	}
	if spec.VLANs {
		if err := h.FilterVLANs(b); err != nil {
			return nil, err
		}
	}
	if spec.Promisc && !b.Promisc {
		if err := h.change(linkHeader{index: b.Index, set: unix.IFF_PROMISC}); err != nil {
			return nil, fmt.Errorf("set bridge %s promiscuous: %w", spec.Name, err)
		}
	}
	return b, nil
}

// creatorTimeout is how long a bridge that is down is taken for one that another process is creating.
//
// Between its two messages createBridge waits for a CPU and the RTNL lock only. A much
// shorter timeout would take a bridge that is being created for one that an administrator
// set down.
const creatorTimeout = 100 * time.Millisecond

// awaitCreator gives another process the time to finish a bridge: until then the bridge is down, has no
// alias, and not the MTU that it will have. After creatorTimeout the bridge is one that is down for
// another reason.
func (h *Host) awaitCreator(b *Bridge) (*Bridge, error) {
	err := h.await([]uint{unix.RTNLGRP_LINK}, creatorTimeout, func(bool) (bool, error) {
		again, err := h.Bridge(b.Name)
		if err == nil {
			b = again
		}
		return err == nil && again.Up, err
	})
	return b, err
}

// unfinished is the interface group (IFLA_GROUP) of a bridge from its creation until finishBridge has
// ended. A group is used because it can be set in the message that creates the link, which an alias
// cannot: the kernel ignores IFLA_IFALIAS there. Groups that UnplugTogether chooses are smaller.
//
// The number is the highest bit and the ASCII codes of "pbyb", which no configuration uses
// by accident: the file /etc/iproute2/group and systemd.link(5) number groups from 0.
const unfinished uint32 = 1<<31 | 0x70627962

// createBridge creates a bridge with a MAC address of its own. A bridge whose MAC was never set has the
// lowest MAC of its ports and changes it as ports come and go, which invalidates the neighbour caches of
// all containers (flannel issue 1381, kubernetes issue 30783). A bridge that cannot be finished is removed.
//
// With IFLA_ADDRESS in the message that creates the bridge, its address is of type
// NET_ADDR_SET (file addr_assign_type in /sys/class/net). That has two effects:
// br_stp_recalculate_bridge_id (net/bridge/br_stp_if.c) no longer takes the MAC of a port,
// and systemd-udevd, which generates a MAC for a new bridge if MACAddressPolicy=persistent
// (systemd.link(5)), leaves this one alone.
//
// EOPNOTSUPP means that the kernel has no bridges: rtnl_newlink tries to load the module
// rtnl-link-bridge first.
func (h *Host) createBridge(spec BridgeSpec) (*Bridge, error) {
	if spec.MTU == 0 {
		spec.MTU = h.uplinkMTU(spec)
	}
	if spec.MAC == nil {
		spec.MAC = randomMAC()
	}
	unlock, _ := kmod.Lock("bridge")
	err := h.addBridge(spec)
	unlock()
	if errors.Is(err, syscall.EEXIST) {
		return h.Bridge(spec.Name) // another process was faster
	}
	if err != nil {
		return nil, fmt.Errorf("create bridge %s: %w", spec.Name, err)
	}
	b, err := h.Bridge(spec.Name)
	if err == nil && spec.VLANs && !b.VLANFiltering { // a kernel without it ignores the attribute
		err = ErrNoVLANs
	}
	if err == nil {
		b, err = h.finishBridge(b, spec)
	}
	if err != nil {
		return nil, errors.Join(err, h.abandon(spec.Name))
	}
	return b, nil
}

// finishBridge sets MTU, alias and group of a bridge that was created down, and sets it up, in one
// message: no other process sees a part of that. The bridge was created with another MTU, because Linux
// takes an MTU for configured only when it changes: otherwise it follows the smallest MTU of the ports,
// and returns to 1500 when the last port is removed (br_mtu_auto_adjust, Linux 4.17).
func (h *Host) finishBridge(b *Bridge, spec BridgeSpec) (*Bridge, error) {
	if spec.MTU == 0 {
		spec.MTU = h.uplinkMTU(spec)
	}
	// accept_ra and accept_dad are set while the bridge is down. The kernel reads them when
	// the link comes up: it then adds the link-local address and solicits routers
	// (addrconf_notify, NETDEV_UP).
	// A kernel without IPv6 has no such files, nor has a bridge whose MTU is below 1280. accept_dad:
	// during duplicate address detection of its link-local address, one second and more, a bridge
	// sends no neighbour solicitation, and packets for containers are queued.
	for _, s := range newLinkSysctls(spec.Name) {
		if err := s.ensure(h.Warn); err != nil {
			return nil, err
		}
	}
	// do_setlink applies MTU, group and alias in this order, and the flags after them: a
	// bridge that is up is complete, even if an attribute was refused and the message
	// applied in part.
	err := h.change(linkHeader{index: b.Index, set: unix.IFF_UP},
		nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(spec.MTU))),
		nl.NewRtAttr(unix.IFLA_IFALIAS, nl.NonZeroTerminated(BridgeAlias)),
		groupAttr(0))
	if err != nil {
		return nil, fmt.Errorf("configure new bridge %s: %w", spec.Name, err)
	}
	return h.Bridge(spec.Name)
}

// newLinkSysctls returns the sysctls of a new bridge, or of a bridge's new interface of a VLAN.
func newLinkSysctls(name string) []setting {
	return []setting{
		{sysctl("ipv6", "conf", name, "accept_ra"), "0", safety},
		{sysctl("ipv6", "conf", name, "accept_dad"), "0", optional},
	}
}

// abandon removes a bridge that could not be finished, unless another process has finished it, removed it
// or already attached a port to it.
//
// The check is ours because the kernel has none: RTM_DELLINK deletes a bridge that is up
// and has ports. Only the ioctl of brctl(8) refuses one that is up, with EBUSY
// (br_del_bridge). ENODEV: another process was faster.
func (h *Host) abandon(name string) error {
	b, err := h.Bridge(name)
	if err != nil || b.Up || b.group != unfinished {
		return ignoreNotFound(err)
	}
	if ports, err := h.ports(b); err != nil || ports > 0 {
		return err
	}
	err = h.socket.execute(linkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, linkHeader{index: b.Index}), nil)
	if err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("remove unfinished bridge %s: %w", b.Name, err)
	}
	return nil
}

func ignoreNotFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// initialMTU returns an MTU that differs from the final one, in bytes. It is the smaller one where
// possible, so that a packet that is sent before finishBridge is not too large for the final MTU.
//
// dev_set_mtu returns without calling the driver if the MTU is the present one, and only
// the driver (br_change_mtu) sets the bit BROPT_MTU_SET_BY_USER. An MTU in the message that
// creates the link is written to the device directly (rtnl_create_link), and does not set
// the bit.
func initialMTU(mtu int) int {
	const least = 68 // ETH_MIN_MTU
	if mtu > least {
		return mtu - 1
	}
	return mtu + 1
}

// addBridge sends the message that creates the bridge, down and in the group unfinished.
//
// NLM_F_EXCL makes the kernel report EEXIST instead of changing an interface of that name,
// whatever its type. It also compares alternative names (ip link property add).
func (h *Host) addBridge(spec BridgeSpec) error {
	req := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, linkHeader{})
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(spec.Name)))
	req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, spec.MAC))
	req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(initialMTU(spec.MTU)))))
	req.AddData(groupAttr(unfinished))
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	if spec.VLANs {
		info = filteringInfo()
	}
	req.AddData(info)
	return h.socket.execute(req, nil)
}

// randomMAC returns a locally administered unicast address.
func randomMAC() net.HardwareAddr {
	mac := make(net.HardwareAddr, 6)
	_, _ = rand.Read(mac) // never fails (crypto/rand, Go 1.24)
	// The second bit means locally administered, the first one, which is 0, unicast (IEEE
	// 802).
	mac[0] = 0x02
	return mac
}

// keepMAC restores the MAC of an existing bridge if adding our port has changed it. A bridge whose MAC
// was never set takes the lowest MAC of its ports; if ours is the only port, the bridge would change
// its MAC with every container. With another port nothing is written: our MACs begin with fe, and no
// MAC of a network card or of a virtual machine's tap is higher than that.
//
// Setting the MAC makes the address NET_ADDR_SET (see createBridge), so it is fixed from
// now on. That is the lesser evil: without it every neighbour of the host on that bridge
// loses the host for as long as its ARP entry lasts.
func (h *Host) keepMAC(before *Bridge, port net.HardwareAddr) error {
	if before.MAC == nil { // all zeros: it had ports, and lost the last one
		return h.readMAC(before)
	}
	if before.Ours || bytes.Equal(before.MAC, port) {
		return nil
	}
	now, err := h.Bridge(before.Name)
	if err != nil || !bytes.Equal(now.MAC, port) {
		return err
	}
	if err := h.change(linkHeader{index: now.Index}, nl.NewRtAttr(unix.IFLA_ADDRESS, before.MAC)); err != nil {
		return fmt.Errorf("restore MAC of bridge %s to %s: %w", before.Name, before.MAC, err)
	}
	return nil
}

// RestoreMAC sets the MAC of a bridge that Patchbay created back to the one that its containers have in
// their neighbour caches.
func (h *Host) RestoreMAC(b *Bridge, mac net.HardwareAddr) error {
	if err := h.change(linkHeader{index: b.Index}, nl.NewRtAttr(unix.IFLA_ADDRESS, mac)); err != nil {
		return fmt.Errorf("restore MAC of bridge %s to %s: %w", b.Name, mac, err)
	}
	return nil
}

// readMAC reads the MAC that a bridge without one got from its first port.
func (h *Host) readMAC(b *Bridge) error {
	now, err := h.Bridge(b.Name)
	if err == nil {
		b.MAC = now.MAC
	}
	return err
}

// keepMTU restores the MTU of an existing bridge if a port of ours with another MTU has changed it
// (br_mtu_auto_adjust, see finishBridge). Port is the MTU of the port in bytes, 0 for the kernel's default.
//
// A bridge whose MTU was set by its owner does not follow its ports, and setting it again
// to the value that it has is one request without effect. That is cheaper than asking: no
// attribute of the bridge says whether BROPT_MTU_SET_BY_USER is set.
func (h *Host) keepMTU(before *Bridge, port int) error {
	if before.Ours || port == 0 || port == before.MTU {
		return nil
	}
	return h.setMTU(before, before.MTU)
}

// setMTU sets the MTU of a bridge, in bytes. The kernel then no longer adjusts it to the ports.
func (h *Host) setMTU(b *Bridge, mtu int) error {
	if err := h.change(linkHeader{index: b.Index}, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu)))); err != nil {
		return fmt.Errorf("set MTU of bridge %s to %d: %w", b.Name, mtu, err)
	}
	return nil
}
