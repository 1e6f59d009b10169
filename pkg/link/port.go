package link

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// portTimeout bounds the wait for the kernel's link watcher, which takes well under a
// millisecond unless the machine is choking.
const portTimeout = time.Second

// WaitPort waits until the bridge has noticed that a port has carrier, and, if it is the first
// one, has carrier itself. The kernel tells both from a work queue a moment after the link came
// up, and what container or host say in that moment is lost. With STP on the port then only
// listens: that takes seconds, and nobody waits for it. At the deadline it returns as well: a
// port that stays dark is for CHECK to report.
func (h *Host) WaitPort(name string, bridge *Bridge) error {
	ready, err := h.portReady(name, bridge)
	if err != nil || ready {
		return err
	}
	return h.await([]uint{unix.RTNLGRP_LINK}, portTimeout, func(bool) (bool, error) {
		return h.portReady(name, bridge)
	})
}

func (h *Host) portReady(name string, bridge *Bridge) (bool, error) {
	l, err := h.byName(name)
	if err != nil {
		return false, err
	}
	if l.Port == nil || !l.Up { // nothing will come
		return true, nil
	}
	if !l.Port.Forwarding {
		return !l.Port.Disabled, nil
	}
	if bridge.state == operUp { // already before the port came
		return true, nil
	}
	b, err := h.get(bridge.Index)
	if err != nil {
		return false, fmt.Errorf("look up bridge %s: %w", bridge.Name, err)
	}
	return b.state == operUp, nil
}
