package link

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The gateway of a VLAN is an interface of type vlan (8021q) on the bridge. The reference bridge uses a veth pair, whose peer
// is an access port of the bridge: that port counts among the 1023, frames to the gateway pass the forwarding rules between
// ports instead of those to the host, and a packet takes one more hop.

// VLANAlias is the alias of an interface of a VLAN that Patchbay created.
const VLANAlias = "patchbay:vlan"

var (
	// ErrNotVLANLink is about an interface that has the name of a bridge's interface of a VLAN.
	ErrNotVLANLink = errors.New("not an interface of that VLAN on the bridge")
	// ErrNoVLANLink is about a kernel without 8021q.
	ErrNoVLANLink = errors.New("no VLAN interfaces (8021q) in this kernel")
	// ErrVLANOfBridge is about the VLAN whose frames a bridge itself receives without a tag.
	ErrVLANOfBridge = errors.New("used by the bridge itself without a tag")
)

// VLANSpec is a bridge's interface of a VLAN, with the gateway addresses of that VLAN.
type VLANSpec struct {
	Name string
	ID   int
}

// Gate returns the interface that has the gateway addresses: the bridge if name is its name, else its interface of a VLAN.
// Errors wrap ErrNotFound or ErrNotVLANLink.
func (h *Host) Gate(b *Bridge, name string) (*Bridge, error) {
	if name == b.Name {
		return b, nil
	}
	l, err := h.byName(name)
	if err != nil {
		return nil, err
	}
	isVLAN := l.Kind == "vlan" && l.Peer == b.Index && l.peerNetns == unknownNetns
	if !isVLAN && !h.isAccessPort(l, b) {
		return nil, fmt.Errorf("interface %s of type %s: %w %s", name, l.Kind, ErrNotVLANLink, b.Name)
	}
	return &Bridge{Link: *l, Ours: l.Alias == VLANAlias}, nil
}

// isAccessPort reports whether a link is a veth whose peer is a port of the bridge: the gateway of a VLAN that the reference
// bridge created.
func (h *Host) isAccessPort(l *Link, b *Bridge) bool {
	if l.Kind != "veth" || l.Peer == 0 || l.peerNetns != unknownNetns {
		return false
	}
	peer, err := h.LinkAt(l.Peer)
	return err == nil && peer.Master == b.Index
}

// MayHaveVLANLink returns an error that EnsureVLANLink would return, and changes nothing.
func (h *Host) MayHaveVLANLink(b *Bridge, spec VLANSpec) error {
	l, err := h.Gate(b, spec.Name)
	if errors.Is(err, ErrNotFound) {
		return h.vlanIsFree(b, spec)
	}
	if err == nil && l.Kind == "vlan" && l.VLAN != spec.ID {
		err = fmt.Errorf("interface %s of VLAN %d: %w %s", l.Name, l.VLAN, ErrNotVLANLink, b.Name)
	}
	return err
}

// vlanIsFree returns an error if the bridge itself receives frames of the VLAN without a tag, so that its interface of the
// VLAN would receive none.
func (h *Host) vlanIsFree(b *Bridge, spec VLANSpec) error {
	has, err := h.readVLANs(b.Index)
	if err == nil && has[spec.ID]&vlanUntagged != 0 {
		err = fmt.Errorf("VLAN %d of bridge %s: %w", spec.ID, b.Name, ErrVLANOfBridge)
	}
	return err
}

// EnsureVLANLink returns the bridge's interface of a VLAN, created if it does not exist, up, and puts the bridge itself into
// the VLAN. Any number of processes may call it at the same time.
func (h *Host) EnsureVLANLink(b *Bridge, spec VLANSpec) (*Bridge, error) {
	if err := h.MayHaveVLANLink(b, spec); err != nil {
		return nil, err
	}
	l, err := h.Gate(b, spec.Name)
	if errors.Is(err, ErrNotFound) {
		err = h.addVLANLink(b, spec)
		if err == nil || errors.Is(err, syscall.EEXIST) { // another process was faster
			l, err = h.Gate(b, spec.Name)
		}
	}
	if err == nil && l.group == unfinished { // created just now, here or by another process, or by one that was killed
		l, err = h.finishVLANLink(b, l)
	}
	if err != nil {
		return nil, vlanLinkError(spec, err)
	}
	if !l.Up {
		if err := h.setUp(l.Index); err != nil {
			return nil, fmt.Errorf("set %s up: %w", l.Name, err)
		}
		l.Up = true
	}
	if l.Kind != "vlan" {
		return l, nil
	}
	return l, h.joinVLAN(b, spec.ID)
}

func vlanLinkError(spec VLANSpec, err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("create %s: %w", spec.Name, ErrNoVLANLink)
	}
	return fmt.Errorf("create %s: %w", spec.Name, err)
}

// addVLANLink sends the message that creates the interface, down and in the group unfinished. Its MAC is that of the bridge.
func (h *Host) addVLANLink(b *Bridge, spec VLANSpec) error {
	const vlanID = 1 // IFLA_VLAN_ID, linux/if_link.h
	req := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, linkHeader{})
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(spec.Name)))
	req.AddData(nl.NewRtAttr(unix.IFLA_LINK, nl.Uint32Attr(uint32(b.Index))))
	req.AddData(groupAttr(unfinished))
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("vlan"))
	info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(vlanID, nl.Uint16Attr(uint16(spec.ID)))
	req.AddData(info)
	return h.socket.execute(req, nil)
}

// finishVLANLink sets alias and group of an interface that was created down, and sets it up, as finishBridge does.
func (h *Host) finishVLANLink(b *Bridge, l *Bridge) (*Bridge, error) {
	for _, s := range newLinkSysctls(l.Name) {
		if err := s.ensure(h.Warn); err != nil {
			return nil, err
		}
	}
	err := h.change(linkHeader{index: l.Index, set: unix.IFF_UP}, nl.NewRtAttr(unix.IFLA_IFALIAS, nl.NonZeroTerminated(VLANAlias)), groupAttr(0))
	if err != nil {
		return nil, err
	}
	return h.Gate(b, l.Name)
}

// joinVLAN puts a bridge itself into a VLAN, with a tag: else it drops the frames that its interface of the VLAN sends and
// would receive.
func (h *Host) joinVLAN(b *Bridge, id int) error {
	has, err := h.readVLANs(b.Index)
	if err != nil || has[id] != 0 {
		return err
	}
	err = h.changeVLANs(unix.RTM_SETLINK, b.Index, nl.BRIDGE_FLAGS_SELF, []vlanRun{{VLANRange{id, id}, vlanPresent}})
	if err != nil {
		return fmt.Errorf("put bridge %s into VLAN %d: %w", b.Name, id, err)
	}
	return nil
}

// InVLAN reports whether a bridge itself is in a VLAN.
func (h *Host) InVLAN(b *Bridge, id int) (bool, error) {
	has, err := h.readVLANs(b.Index)
	if err != nil {
		return false, err
	}
	return has[id] != 0, nil
}
