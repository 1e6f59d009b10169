package link

import (
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// portTimeout limits the wait for the kernel's link watcher, which takes well under a millisecond unless
// the machine is overloaded.
const portTimeout = time.Second

// WaitPort waits until the bridge forwards on a port, and until the bridge itself has carrier if this is
// its first port. The kernel updates both in a work queue (linkwatch) after the link was set up, and
// drops what container and host send before. With STP the port first listens and learns, for seconds,
// and WaitPort does not wait for that. After portTimeout it returns without an error: CHECK and doctor
// report a port without carrier.
//
// A port forwards once its operational state is up (br_port_carrier_check), which linkwatch
// sets some time after carrier appears. Linkwatch handles an interface that comes up at
// once (linkwatch_urgent_event), and other events at most once per second
// (linkwatch_schedule_work), hence portTimeout. With STP the port listens and learns for
// forward_delay each, 15 s by default, which is too long for an ADD.
func (h *Host) WaitPort(name string, bridge *Bridge) error {
	ready, err := h.portReady(name, bridge)
	if err != nil || ready {
		return err
	}
	return h.await([]uint{unix.RTNLGRP_LINK}, portTimeout, func(bool) (bool, error) {
		return h.portReady(name, bridge)
	})
}

// portReady reports whether waiting for a port is over.
func (h *Host) portReady(name string, bridge *Bridge) (bool, error) {
	l, err := h.byName(name)
	if err != nil {
		return false, err
	}
	if l.Port == nil || !l.Up { // not a port, or set down by another process
		return true, nil
	}
	if !l.Port.Forwarding {
		return !l.Port.Disabled, nil
	}
	if bridge.state == operUp { // it had carrier before this port was added
		return true, nil
	}
	b, err := h.get(bridge.Index)
	if err != nil {
		return false, fmt.Errorf("look up bridge %s: %w", bridge.Name, err)
	}
	return b.state == operUp, nil
}

// SetHairpin sets hairpin mode of a bridge port: a packet may leave by the port at which it arrived.
func (h *Host) SetHairpin(l *Link) error {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge"))
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_DATA, nil).AddRtAttr(nl.IFLA_BRPORT_MODE, boolAttr(true))
	if err := h.change(linkHeader{index: l.Index}, info); err != nil {
		return fmt.Errorf("set hairpin mode of %s: %w", l.Name, err)
	}
	return nil
}
