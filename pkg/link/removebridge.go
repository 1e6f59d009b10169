package link

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// RemoveIdleBridge deletes a bridge that Patchbay created and that has no port. It reports
// whether it did; false without an error for any other bridge, and for none.
func (h *Host) RemoveIdleBridge(name string) (bool, error) {
	b, err := h.Bridge(name)
	if err != nil || !b.Ours {
		return false, ignoreNotFound(err)
	}
	if ports, err := h.ports(b); err != nil || ports > 0 {
		return false, err
	}
	return h.remove(&b.Link)
}

// RemoveVLANLink deletes a bridge's interface of a VLAN that Patchbay created and that is no bridge port itself. It reports
// whether it did; false without an error for any other interface, and for none.
func (h *Host) RemoveVLANLink(name string) (bool, error) {
	l, err := h.byName(name)
	if err != nil || l.Kind != "vlan" || l.Alias != VLANAlias || l.Master != 0 {
		return false, ignoreNotFound(err)
	}
	return h.remove(l)
}

// remove deletes an interface; false without an error if it does not exist any more.
func (h *Host) remove(l *Link) (bool, error) {
	err := h.socket.execute(linkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, linkHeader{index: l.Index}), nil)
	if errors.Is(err, syscall.ENODEV) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("delete %s %s: %w", l.Kind, l.Name, err)
	}
	return true, nil
}
