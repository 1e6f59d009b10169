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
	err = h.socket.execute(linkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, linkHeader{index: b.Index}), nil)
	if errors.Is(err, syscall.ENODEV) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("delete bridge %s: %w", b.Name, err)
	}
	return true, nil
}
