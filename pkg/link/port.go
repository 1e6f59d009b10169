package link

import (
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Port is what the bridge says of one of its ports.
type Port struct {
	Forwarding bool // frames pass
	Disabled   bool // no carrier yet, or switched off; with STP a port goes on to listen and learn
	Hairpin    bool
}

const (
	stateDisabled   = 0 // BR_STATE_DISABLED, linux/if_bridge.h
	stateForwarding = 3 // BR_STATE_FORWARDING
)

// Port asks for one bridge port by name. Errors wrap the kernel's.
func (h *Host) Port(name string) (Port, error) {
	req := h.request(unix.RTM_GETLINK, unix.NLM_F_ACK)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	answers, err := execute(req, unix.RTM_NEWLINK)
	if err != nil || len(answers) != 1 {
		return Port{}, fmt.Errorf("look up bridge port %s: %w", name, err)
	}
	data := nested(answers[0][unix.SizeofIfInfomsg:], unix.IFLA_LINKINFO, nl.IFLA_INFO_SLAVE_DATA)
	state, mode := nested(data, nl.IFLA_BRPORT_STATE), nested(data, nl.IFLA_BRPORT_MODE)
	if len(state) != 1 || len(mode) != 1 {
		return Port{}, fmt.Errorf("interface %s is no bridge port", name)
	}
	return Port{Forwarding: state[0] == stateForwarding, Disabled: state[0] == stateDisabled, Hairpin: mode[0] != 0}, nil
}

// nested follows a path of attribute types into a message; nil if it ends early.
func nested(data []byte, path ...int) []byte {
	for _, want := range path {
		attrs, err := nl.ParseRouteAttr(data)
		data = nil
		if err != nil {
			return nil
		}
		for _, attr := range attrs {
			if int(attr.Attr.Type)&^unix.NLA_F_NESTED == want {
				data = attr.Value
			}
		}
	}
	return data
}

// portTimeout bounds the wait for the kernel's link watcher, which takes well under a
// millisecond unless the machine is choking.
const portTimeout = time.Second

// WaitPort waits until the bridge has noticed that a port has carrier, and, if it is the first
// one, has carrier itself. The kernel tells both from a work queue a moment after the link came
// up, and what container or host say in that moment is lost. With STP on the port then only
// listens: that takes seconds, and nobody waits for it. At the deadline it returns as well: a
// port that stays dark is for CHECK to report.
func (h *Host) WaitPort(name, bridge string) error {
	ready, err := h.portReady(name, bridge)
	if err != nil || ready {
		return err
	}
	return h.await([]uint{unix.RTNLGRP_LINK}, portTimeout, func(bool) (bool, error) {
		return h.portReady(name, bridge)
	})
}

func (h *Host) portReady(name, bridge string) (bool, error) {
	port, err := h.Port(name)
	if err != nil || !port.Forwarding {
		return !port.Disabled, err
	}
	b, err := h.byName(bridge)
	if err != nil {
		return false, err
	}
	return b.Attrs().OperState == netlink.OperUp, nil
}
