package link

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Veth is a patch cable: one end for the bridge, one for the container.
type Veth struct {
	HostName string           // at most 15 bytes
	HostMAC  net.HardwareAddr // begins with fe, so that a bridge never takes it for its own
	Alias    string           // begins with the owner's mark, ends with words for people
	IfName   string           // name of the container's end
	MAC      net.HardwareAddr // of the container's end
	MTU      int              // bytes, both ends; 0 as the kernel likes
	Hairpin  bool             // frames may leave by the port they came in
}

// Plug makes the cable with its container end born in the sandbox, where it stays down, and
// its host end plugged into the bridge and up. One message makes all of it: moving an end
// afterwards costs twenty times as much (design section 7). ErrBridgeFull if the bridge has no
// port left, ErrExists if either name is taken. On an error nothing is left.
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
	if err := h.socket.execute(req, nil); err != nil {
		return plugError(b, v, err)
	}
	err := h.dress(v)
	if err == nil {
		err = errors.Join(h.keepMAC(b, v.HostMAC), h.keepMTU(b, v.MTU))
	}
	if err != nil {
		return errors.Join(err, h.Unplug(v.HostName, ""))
	}
	return nil
}

// peerInfo is the half of the message that is about the container's end.
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
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(s.netns.Fd())))
	if v.MTU > 0 {
		peer.AddRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.MTU)))
	}
	return info
}

// oneQueue says how many queues a veth has in each direction. Without it Linux (5.15) makes one
// for every CPU that could be there, uses the first, and the files in /sys of all the others
// are a third of what the message costs on two CPUs, and most of it on sixty-four.
func oneQueue() []*nl.RtAttr {
	return []*nl.RtAttr{
		nl.NewRtAttr(unix.IFLA_NUM_TX_QUEUES, nl.Uint32Attr(1)),
		nl.NewRtAttr(unix.IFLA_NUM_RX_QUEUES, nl.Uint32Attr(1)),
	}
}

func plugError(b *Bridge, v Veth, err error) error {
	switch {
	case errors.Is(err, syscall.EXFULL):
		return fmt.Errorf("bridge %s %w: %w", b.Name, ErrBridgeFull, err)
	case errors.Is(err, syscall.EEXIST):
		return fmt.Errorf("create veth %s with peer %s: one of them %w: %w", v.HostName, v.IfName, ErrExists, err)
	}
	return fmt.Errorf("create veth %s with peer %s on bridge %s: %w", v.HostName, v.IfName, b.Name, err)
}

// dress gives the host end what the kernel does not take at birth: alias and port flags. It
// also keeps IPv6 from giving the port an address, which no bridge port needs.
func (h *Host) dress(v Veth) error {
	err := h.dressWith(v, hasIPv6())
	if errors.Is(err, syscall.EAFNOSUPPORT) { // an MTU below 1280 takes IPv6 away from a link
		err = h.dressWith(v, false)
	}
	if err != nil {
		return fmt.Errorf("set alias and port flags of %s: %w", v.HostName, err)
	}
	return nil
}

func (h *Host) dressWith(v Veth, ipv6 bool) error {
	attrs := []*nl.RtAttr{
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.HostName)),
		nl.NewRtAttr(unix.IFLA_IFALIAS, nl.NonZeroTerminated(v.Alias)),
		hairpinAttr(v.Hairpin),
	}
	if ipv6 {
		spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
		spec.AddRtAttr(unix.AF_INET6, nil).AddRtAttr(unix.IFLA_INET6_ADDR_GEN_MODE, nl.Uint8Attr(nl.IN6_ADDR_GEN_MODE_NONE))
		attrs = append(attrs, spec)
	}
	return h.change(linkHeader{}, attrs...)
}

func hairpinAttr(on bool) *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge"))
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_DATA, nil).AddRtAttr(nl.IFLA_BRPORT_MODE, boolAttr(on))
	return info
}

func boolAttr(on bool) []byte {
	if on {
		return nl.Uint8Attr(1)
	}
	return nl.Uint8Attr(0)
}

// Unplug deletes a host end, and so both. It is deleted only if its alias begins with mark;
// one without an alias was left by a crash between two messages and counts as ours, since the
// caller derived its name. ErrForeign if it is somebody else's, no error if it is not there.
func (h *Host) Unplug(name, mark string) error {
	l, err := h.byName(name)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !l.IsOurs(mark) {
		return fmt.Errorf("interface %s %w: its alias is %q", name, ErrForeign, l.Alias)
	}
	err = h.socket.execute(linkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, linkHeader{index: l.Index}), nil)
	if err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("delete veth %s: %w", name, err)
	}
	return nil
}

// IsOurs reports whether a link that has a name derived by us is the one the name was derived
// for: a veth whose alias begins with mark, or that has none yet.
func (l *Link) IsOurs(mark string) bool {
	return l.Kind == "veth" && (l.Alias == "" || strings.HasPrefix(l.Alias, mark))
}

// SetMaster makes an interface that exists a port of the bridge, for chains in which another
// plugin made it. It must have no master yet, or this one. ErrBridgeFull as for Plug.
func (h *Host) SetMaster(l *Link, b *Bridge, hairpin bool) error {
	if l.Master != 0 && l.Master != b.Index {
		return fmt.Errorf("interface %s is a port of another bridge: it %w", l.Name, ErrForeign)
	}
	err := h.setMaster(l, b.Index)
	if errors.Is(err, syscall.EXFULL) {
		return fmt.Errorf("bridge %s %w: %w", b.Name, ErrBridgeFull, err)
	}
	if err == nil {
		err = h.change(linkHeader{index: l.Index}, hairpinAttr(hairpin))
	}
	if err == nil {
		err = errors.Join(h.keepMAC(b, l.MAC), h.keepMTU(b, l.MTU))
	}
	if err != nil {
		return fmt.Errorf("plug %s into bridge %s: %w", l.Name, b.Name, err)
	}
	return nil
}

func (h *Host) setMaster(l *Link, master int) error {
	return h.change(linkHeader{index: l.Index}, nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(master))))
}

// ClearMaster takes an interface out of the bridge, if it is a port of it and still the one of
// that index: names are used again, indexes are not. Index 0 is any.
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
		return fmt.Errorf("take %s out of bridge %s: %w", name, bridge, err)
	}
	return nil
}
