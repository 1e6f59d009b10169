package link

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/kmod"
)

// Veth describes a veth pair: the host interface, a port of the bridge, and the container interface.
type Veth struct {
	HostName string           // at most 15 bytes
	HostMAC  net.HardwareAddr // begins with fe, so that a bridge with another port never adopts it
	Alias    string           // begins with the mark of the attachment, and names it for people
	IfName   string           // name of the container interface
	MAC      net.HardwareAddr // of the container interface
	MTU      int              // bytes, of both; 0: the kernel's default
	Port     PortFlags
}

// PortFlags are the properties of a bridge port that differ from the kernel's defaults.
type PortFlags struct {
	Hairpin  bool // frames may leave by the port at which they arrived
	STPGuard bool // BPDU guard and root block: the container takes no part in the spanning tree
	Isolated bool // frames pass only to and from ports that are not isolated

	VLANs *VLANs // nil: those that the bridge gives every port
}

// Plug creates a veth pair: the container interface in the sandbox, down, and the host interface as a
// port of the bridge, up. One message creates both. Moving an interface to another namespace afterwards
// costs twenty times as much, because the kernel waits for an RCU grace period. Errors wrap
// ErrBridgeFull, or ErrExists if either name is in use. On an error nothing is left.
//
// NLM_F_EXCL makes an existing interface of the name an error. The kernel creates the
// container interface first (veth_newlink), then the host interface, sets it up, and adds
// it to the bridge last (rtnl_newlink_create). If one step fails, for example with EXFULL
// because the bridge has 1023 ports (find_portno), it removes both; so there is nothing to
// undo until configureHostEnd.
//
// EOPNOTSUPP means that the kernel has no veth and the module cannot be loaded; EPERM that
// the process lacks CAP_NET_ADMIN in the user namespace of either network namespace.
func (h *Host) Plug(s *Sandbox, b *Bridge, v Veth) error {
	req := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, linkHeader{set: unix.IFF_UP})
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.HostName)))
	req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, v.HostMAC))
	req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(b.Index))))
	if v.MTU > 0 {
		req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.MTU))))
	}
	for _, attr := range oneQueue() {
		req.AddData(attr)
	}
	req.AddData(peerInfo(s, v))
	err := h.socket.execute(req, nil)
	if errors.Is(err, syscall.EOPNOTSUPP) { // of many processes that need the module some were refused; see package kmod
		unlock, _ := kmod.Lock("veth")
		err = h.socket.execute(req, nil)
		unlock()
	}
	if err != nil {
		return plugError(b, v, err)
	}
	err = h.configureHostEnd(v)
	if err == nil && v.Port.VLANs != nil {
		err = h.putIntoVLANs(v.HostName, b, v.Port.VLANs)
	}
	if err == nil {
		err = errors.Join(h.keepMAC(b, v.HostMAC), h.keepMTU(b, v.MTU))
	}
	if err != nil {
		return errors.Join(err, h.Unplug(v.HostName, ""))
	}
	return nil
}

// putIntoVLANs sets the VLANs of a new port. Its container interface is down, so that no frame has passed in the default VLAN.
func (h *Host) putIntoVLANs(port string, b *Bridge, vlans *VLANs) error {
	l, err := h.byName(port)
	if err != nil {
		return err
	}
	return h.setVLANs(l, b, vlans)
}

// peerInfo returns the part of the message that describes the container interface (VETH_INFO_PEER).
//
// IFLA_NET_NS_FD is the descriptor that OpenSandbox has checked, not a PID
// (IFLA_NET_NS_PID), which could be another process by now. IFLA_ADDRESS must be in the
// same message: systemd-udevd inside a container that runs it may otherwise set a MAC of
// its own choice (MACAddressPolicy, systemd.link(5)).
func peerInfo(s *Sandbox, v Veth) *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.IfName))
	peer.AddRtAttr(unix.IFLA_ADDRESS, v.MAC)
	for _, attr := range oneQueue() {
		peer.AddChild(attr)
	}
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(s.file.Fd())))
	if v.MTU > 0 {
		peer.AddRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.MTU)))
	}
	return info
}

// oneQueue returns the attributes that limit a veth to one queue per direction. Without them Linux (since
// 5.15) creates one per possible CPU and uses the first. The files in /sys of the others are a third of
// the cost of the message on two CPUs, and most of it on sixty-four.
func oneQueue() []*nl.RtAttr {
	return []*nl.RtAttr{
		nl.NewRtAttr(unix.IFLA_NUM_TX_QUEUES, nl.Uint32Attr(1)),
		nl.NewRtAttr(unix.IFLA_NUM_RX_QUEUES, nl.Uint32Attr(1)),
	}
}

// fullError returns the error for EXFULL of the kernel, and of CheckFreePort.
func fullError(b *Bridge) error { return fmt.Errorf("bridge %s: %w", b.Name, ErrBridgeFull) }

// plugError translates the kernel's error. EEXIST leaves open which of the two names is in use.
func plugError(b *Bridge, v Veth, err error) error {
	switch {
	case errors.Is(err, syscall.EXFULL):
		return fullError(b)
	case errors.Is(err, syscall.EEXIST):
		return fmt.Errorf("create veth %s with peer %s: %w: %w", v.HostName, v.IfName, ErrExists, err)
	}
	return fmt.Errorf("create veth %s with peer %s on bridge %s: %w", v.HostName, v.IfName, b.Name, err)
}

// configureHostEnd sets alias and port flags of the host interface, which the kernel ignores in the
// message that creates a link. It also disables the IPv6 link-local address of the port: a bridge port
// needs none, and the kernel would send multicast listener reports for it.
func (h *Host) configureHostEnd(v Veth) error {
	err := h.configureHostEndWith(v, hasIPv6())
	if errors.Is(err, syscall.EAFNOSUPPORT) { // a link with an MTU below 1280 has no IPv6
		err = h.configureHostEndWith(v, false)
	}
	if err != nil {
		return fmt.Errorf("set alias and port flags of %s: %w", v.HostName, err)
	}
	return nil
}

func (h *Host) configureHostEndWith(v Veth, ipv6 bool) error {
	attrs := []*nl.RtAttr{
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.HostName)),
		nl.NewRtAttr(unix.IFLA_IFALIAS, nl.NonZeroTerminated(v.Alias)),
		portAttr(v.Port),
	}
	if ipv6 {
		spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
		spec.AddRtAttr(unix.AF_INET6, nil).AddRtAttr(unix.IFLA_INET6_ADDR_GEN_MODE, nl.Uint8Attr(nl.IN6_ADDR_GEN_MODE_NONE))
		attrs = append(attrs, spec)
	}
	return h.change(linkHeader{}, attrs...)
}

// In the terms of bridge(8): hairpin, guard (BPDU guard), root_block and isolated. An
// isolated network (ingressPolicy) does not use the port flag isolated: it separates ports
// of one bridge only, and an isolated container must not reach those of other bridges
// either, so nftables does both. VLANs of the port are set by a message of their own, in
// setVLANs; before, they are the bridge's default (nbp_vlan_init).
//
// IFLA_INFO_SLAVE_DATA carries them in the same message as the alias. bridge(8) sends them
// in a message of the family AF_BRIDGE, in which the kernel reads no alias.
func portAttr(flags PortFlags) *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge"))
	data := info.AddRtAttr(nl.IFLA_INFO_SLAVE_DATA, nil)
	data.AddRtAttr(nl.IFLA_BRPORT_MODE, boolAttr(flags.Hairpin))
	data.AddRtAttr(nl.IFLA_BRPORT_GUARD, boolAttr(flags.STPGuard))
	data.AddRtAttr(nl.IFLA_BRPORT_PROTECT, boolAttr(flags.STPGuard))
	data.AddRtAttr(nl.IFLA_BRPORT_ISOLATED, boolAttr(flags.Isolated)) // Linux 4.18
	return info
}

func boolAttr(on bool) []byte {
	if on {
		return nl.Uint8Attr(1)
	}
	return nl.Uint8Attr(0)
}

// Unplug deletes a host interface, and with it the container interface. It deletes only a veth whose
// alias begins with mark, or which has no alias: ADD was killed between the two messages, and the name
// was derived for this attachment. Errors wrap ErrNotOwned if another program owns the interface; one
// that does not exist is no error.
func (h *Host) Unplug(name, mark string) error {
	_, err := h.UnplugFound(name, mark)
	return err
}

// UnplugFound removes the host interface as Unplug does, and reports whether it existed.
func (h *Host) UnplugFound(name, mark string) (found bool, err error) {
	l, err := h.byName(name)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !l.IsOurs(mark) {
		return false, fmt.Errorf("interface %s: %w (alias %q)", name, ErrNotOwned, l.Alias)
	}
	return true, h.deleteVeth(l)
}

// UnplugRenamed deletes a host interface that was renamed. It is looked up again by its index, and
// deleted only if its alias still begins with mark. One that does not exist is no error.
//
// An administrator may rename an interface (ip link set ... name), which leaves index and
// alias as they are.
func (h *Host) UnplugRenamed(l *Link, mark string) error {
	now, err := h.LinkAt(l.Index)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if mark == "" || now.Alias == "" || !now.IsOurs(mark) {
		return fmt.Errorf("interface %s: %w (alias %q)", now.Name, ErrNotOwned, now.Alias)
	}
	return h.deleteVeth(now)
}

func (h *Host) deleteVeth(l *Link) error {
	err := h.socket.execute(linkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, linkHeader{index: l.Index}), nil)
	if err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("delete veth %s: %w", l.Name, err)
	}
	return nil
}

// IsOurs reports whether a link that has a name derived by Patchbay is the one that the name was derived
// for: a veth whose alias begins with mark, or that has no alias yet.
func (l *Link) IsOurs(mark string) bool {
	return l.Kind == "veth" && (l.Alias == "" || strings.HasPrefix(l.Alias, mark))
}

// SetMaster makes an existing interface a port of the bridge, in a chain in which another plugin created
// it. Errors wrap ErrNotOwned if it is a port of another bridge, or ErrBridgeFull.
//
// The kernel would move a port from another bridge without asking (do_set_master). It
// refuses lo, and links that are not Ethernet (EINVAL), a bridge (ELOOP), and Wi-Fi
// stations and others with IFF_DONT_BRIDGE (EOPNOTSUPP), see br_add_if.
func (h *Host) SetMaster(l *Link, b *Bridge, flags PortFlags) error {
	if l.Master != 0 && l.Master != b.Index {
		return fmt.Errorf("interface %s is a port of another bridge: %w", l.Name, ErrNotOwned)
	}
	err := h.setMaster(l, b.Index)
	if errors.Is(err, syscall.EXFULL) {
		return fullError(b)
	}
	if err == nil {
		err = h.change(linkHeader{index: l.Index}, portAttr(flags))
	}
	if err == nil && flags.VLANs != nil {
		err = h.setVLANs(l, b, flags.VLANs)
	}
	if err == nil {
		err = errors.Join(h.keepMAC(b, l.MAC), h.keepMTU(b, l.MTU))
	}
	if err != nil {
		return fmt.Errorf("add port %s to bridge %s: %w", l.Name, b.Name, err)
	}
	return nil
}

func (h *Host) setMaster(l *Link, master int) error {
	return h.change(linkHeader{index: l.Index}, nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(master))))
}

// ClearMaster removes an interface from the bridge if it is a port of it and has the index: another
// interface may have the name by now, but the kernel does not reuse an index. Index 0 matches any.
func (h *Host) ClearMaster(name string, index int, bridge string) error {
	l, err1 := h.byName(name)
	b, err2 := h.byName(bridge)
	if errors.Is(err1, ErrNotFound) || errors.Is(err2, ErrNotFound) {
		return nil
	}
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if l.Master != b.Index || index != 0 && l.Index != index {
		return nil
	}
	if err := h.setMaster(l, 0); err != nil {
		return fmt.Errorf("remove port %s from bridge %s: %w", name, bridge, err)
	}
	return nil
}

// PeerIn reports whether a link is a veth whose other end is in the network namespace at a path.
func (l *Link) PeerIn(netns string) bool {
	return l.Kind == "veth" && l.peerNetns >= 0 && l.peerNetns == surveyPeerID(netns)
}
