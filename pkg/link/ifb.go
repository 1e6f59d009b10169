package link

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// UnplugWithIFB deletes a host interface as UnplugFound does, and the ifb device through which the packets of its container go. It
// reports whether the host interface existed. A device of another program with the name is kept.
//
// Each deletion waits for the grace periods of RCU, but all links of a group wait once: the device makes a DEL 2 ms longer instead of 17
// (BenchmarkDevice in test/network/bandwidth). UnplugTogether also lists all links of the host, to see that the group has no other
// member. For two links that list would cost more than it saves on a host with many. The group is new with this call, one of 2^30, and
// higher than the numbers that people choose.
func (h *Host) UnplugWithIFB(name, ifb, mark string) (found bool, err error) {
	device, err := h.ownIFB(ifb, mark)
	if device == nil {
		found, failed := h.UnplugFound(name, mark)
		if err == nil || errors.Is(err, ErrNotOwned) {
			err = failed
		}
		return found, err
	}
	l, err := h.byName(name)
	if err == nil && l.isMarked(mark) && device.isMarked(mark) && h.deleteTogether(l, device) == nil {
		return true, nil
	}
	// One of them is missing, or has no alias yet: its name alone is too little to put it into a group, see group.find.
	found, err = h.UnplugFound(name, mark)
	if failed := h.deleteIFB(device); failed != nil {
		return found, failed // not joined: ErrNotOwned of the other one would stand for both
	}
	return found, err
}

// deleteTogether deletes links as a group. After an error they may be in that group, without harm: they are deleted by their indexes.
func (h *Host) deleteTogether(links ...*Link) error {
	number := randomGroup() | 1<<30
	for _, l := range links {
		if err := h.change(linkHeader{index: l.Index}, groupAttr(number)); err != nil {
			return err
		}
	}
	return h.socket.execute(groupRequest(number), nil)
}

// RemoveIFB deletes an ifb device whose alias begins with mark, or that has no alias: ADD was killed between two messages, and the name
// was derived for the attachment. Errors wrap ErrNotOwned if another program owns it; one that does not exist is no error.
func (h *Host) RemoveIFB(name, mark string) error {
	l, err := h.ownIFB(name, mark)
	if l == nil {
		return err
	}
	return h.deleteIFB(l)
}

// ownIFB returns the ifb device of an attachment, nil without an error if there is none.
func (h *Host) ownIFB(name, mark string) (*Link, error) {
	l, err := h.byName(name)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case !l.isIFBOf(mark) && (l.Kind != "ifb" || l.Alias != ""):
		return nil, fmt.Errorf("interface %s: %w (alias %q)", name, ErrNotOwned, l.Alias)
	}
	return l, nil
}

// isIFBOf reports whether a link is an ifb device whose alias begins with a mark.
func (l *Link) isIFBOf(mark string) bool {
	return l.Kind == "ifb" && mark != "" && strings.HasPrefix(l.Alias, mark)
}

func (h *Host) deleteIFB(l *Link) error {
	err := h.socket.execute(linkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, linkHeader{index: l.Index}), nil)
	if err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("delete ifb device %s: %w", l.Name, err)
	}
	return nil
}
