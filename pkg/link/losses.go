package link

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Loss is what a notification says that an interface has lost. The kernel does not say which process did it.
type Loss struct {
	Object string // the interface or the address, or for all interfaces the family: "cni0", "10.1.0.1/16", "IPv4"
	Says   string // "interface cni0 was deleted"
}

// netconf, linux/netconf.h: messages of sysctls below net.ipv4.conf and net.ipv6.conf.
const (
	netconfSize       = 4 // struct netconfmsg, aligned
	netconfIndex      = 1 // NETCONFA_IFINDEX
	netconfForwarding = 2 // NETCONFA_FORWARDING
	netconfAll        = -1
)

// Read reads a datagram that FD has announced, and returns what was lost: an interface, a bridge port, an address, forwarding. It returns
// none, and no error, if notifications were lost.
func (c *Changes) Read() (losses []Loss, err error) {
	c.socket.SetDeadline(time.Now().Add(time.Second))
	datagram, err := c.socket.Receive()
	if nlsock.IsLoss(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for m := range nlsock.Messages(datagram) {
		if loss, is := c.lossOf(m); is {
			losses = append(losses, loss)
		}
	}
	return losses, nil
}

// lossOf reads one notification.
func (c *Changes) lossOf(m nlsock.Message) (loss Loss, is bool) {
	switch m.Type {
	case unix.RTM_DELLINK:
		return lostLink(m.Data)
	case unix.RTM_DELADDR:
		return c.lostAddress(m.Data)
	case unix.RTM_NEWNETCONF:
		return c.lostForwarding(m.Data)
	}
	return Loss{}, false
}

// lostLink reads RTM_DELLINK. One of the family AF_BRIDGE is of a bridge port (br_ifinfo_notify), whose interface may go on to exist.
func lostLink(body []byte) (Loss, bool) {
	l := parseLink(body)
	if l == nil || l.Name == "" {
		return Loss{}, false
	}
	if body[0] == unix.AF_BRIDGE {
		return Loss{l.Name, "interface " + l.Name + " was taken from its bridge"}, true
	}
	return Loss{l.Name, "interface " + l.Name + " was deleted"}, true
}

// lostAddress reads RTM_DELADDR.
func (c *Changes) lostAddress(body []byte) (Loss, bool) {
	if len(body) < unix.SizeofIfAddrmsg {
		return Loss{}, false
	}
	data := body[unix.SizeofIfAddrmsg:]
	value := nlsock.Attribute(data, unix.IFA_LOCAL) // of IPv4; IPv6 has IFA_ADDRESS only
	if value == nil {
		value = nlsock.Attribute(data, unix.IFA_ADDRESS)
	}
	addr, is := netip.AddrFromSlice(value)
	if !is {
		return Loss{}, false
	}
	loss := Loss{Object: netip.PrefixFrom(addr, int(body[1])).String()}
	loss.Says = "address " + loss.Object + " was removed"
	if name := nameAt(c.FD(), int(binary.NativeEndian.Uint32(body[4:]))); name != "" {
		loss.Says += " from " + name
	}
	return loss, true
}

// lostForwarding reads RTM_NEWNETCONF with forwarding set to 0, of one interface or of all.
func (c *Changes) lostForwarding(body []byte) (Loss, bool) {
	if len(body) < netconfSize {
		return Loss{}, false
	}
	index, value := nlsock.Attribute(body[netconfSize:], netconfIndex), nlsock.Attribute(body[netconfSize:], netconfForwarding)
	if len(index) != 4 || len(value) != 4 || signed(value) != 0 {
		return Loss{}, false
	}
	family := "IPv4"
	if body[0] == unix.AF_INET6 {
		family = "IPv6"
	}
	at := signed(index)
	if at == netconfAll {
		return Loss{family, family + " forwarding was disabled"}, true
	}
	name := nameAt(c.FD(), at)
	return Loss{name, family + " forwarding from " + name + " was disabled"}, name != ""
}
