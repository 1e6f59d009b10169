package link

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Reasons why a bridge cannot keep VLANs apart. An error that wraps one names the bridge.
var (
	ErrNoVLANs     = errors.New("no VLAN filtering in this kernel")
	ErrNotFiltered = errors.New("does not filter by VLAN")
)

// errCutOff is the reason why VLAN filtering is not turned on although the bridge is ours.
var errCutOff = errors.New("would lose its traffic")

// MayFilterVLANs returns the error that EnsureBridge would return for a bridge that must filter by VLAN, and changes
// nothing. A nil bridge is one that ADD will create.
func (h *Host) MayFilterVLANs(b *Bridge) error {
	switch {
	case b == nil:
		return h.knowsVLANs()
	case !b.knowsVLANs:
		return ErrNoVLANs
	case b.VLANFiltering:
		return nil
	case !b.Ours:
		return fmt.Errorf("bridge %s %w, and Patchbay did not create it", b.Name, ErrNotFiltered)
	}
	return h.losesNone(b)
}

// knowsVLANs asks the kernel for the VLANs of lo, which is no bridge port: that is EINVAL with VLAN filtering, and EOPNOTSUPP
// without. It is also EOPNOTSUPP while the module bridge is not loaded, which ADD loads; then EnsureBridge finds out.
func (h *Host) knowsVLANs() error {
	if _, err := os.Stat("/sys/module/bridge"); err != nil {
		return nil
	}
	const lo = 1
	if err := h.socket.execute(vlanDump(lo), nil); errors.Is(err, unix.EOPNOTSUPP) {
		return ErrNoVLANs
	}
	return nil
}

// FilterVLANs turns VLAN filtering on, on a bridge that was created without it: the kernel then drops frames of VLANs that a
// port is not in. Until then every port could send any VLAN to any other.
func (h *Host) FilterVLANs(b *Bridge) error {
	if err := h.MayFilterVLANs(b); err != nil || b.VLANFiltering {
		return err
	}
	if err := h.change(linkHeader{index: b.Index}, filteringInfo()); err != nil {
		return fmt.Errorf("turn on VLAN filtering of bridge %s: %w", b.Name, err)
	}
	b.VLANFiltering = true
	return nil
}

// filteringInfo returns the attribute of a message that creates or changes a bridge with VLAN filtering. A kernel without
// it ignores IFLA_BR_VLAN_FILTERING, so the bridge must be read again.
func filteringInfo() *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.IFLA_BR_VLAN_FILTERING, nl.Uint8Attr(1))
	return info
}

// losesNone returns an error if turning VLAN filtering on would cut a port off: one without a VLAN for frames without a tag.
// The kernel gives every new port the default VLAN of the bridge, whether it filters or not, so that only an administrator
// can have caused that. It also returns an error for an interface of a VLAN on the bridge, whose frames the bridge would drop.
func (h *Host) losesNone(b *Bridge) error {
	ports, err := h.portIndexes(b)
	if err != nil {
		return err
	}
	for _, index := range ports {
		has, err := h.readVLANs(index)
		if err != nil {
			return err
		}
		if !has.hasPVID() {
			return fmt.Errorf("bridge %s %w, and port %s %w: it has no VLAN for frames without a tag", b.Name, ErrNotFiltered, h.nameOf(index), errCutOff)
		}
	}
	above, err := h.list(func(l *Link) bool { return l.Kind == "vlan" && l.Peer == b.Index && l.peerNetns == unknownNetns }, kindFilter("vlan"))
	if err != nil {
		return err
	}
	own, err := h.readVLANs(b.Index)
	for _, l := range above {
		if err == nil && own[l.VLAN] == 0 {
			err = fmt.Errorf("bridge %s %w, and interface %s %w: the bridge itself is not in VLAN %d", b.Name, ErrNotFiltered, l.Name, errCutOff, l.VLAN)
		}
	}
	return err
}

// kindFilter returns the attribute that makes the kernel dump links of one kind only.
func kindFilter(kind string) *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.ZeroTerminated(kind))
	return info
}
