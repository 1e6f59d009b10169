package stepper

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// netlinkMessage is one message; raw and body are slices of its buffer.
type netlinkMessage struct {
	kind, flags uint16
	raw, body   []byte
}

// messages parses the messages in a buffer.
func messages(data []byte) []netlinkMessage {
	var out []netlinkMessage
	for len(data) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(data))
		if size < unix.SizeofNlMsghdr || size > len(data) {
			break
		}
		out = append(out, netlinkMessage{
			kind: binary.NativeEndian.Uint16(data[4:]), flags: binary.NativeEndian.Uint16(data[6:]),
			raw: data[:size], body: data[unix.SizeofNlMsghdr:size],
		})
		data = data[min(aligned(size), len(data)):]
	}
	return out
}

func aligned(size int) int { return (size + 3) &^ 3 }

// describe returns the text of messages, and whether they change something. Messages of an unknown protocol count as changes.
func describe(protocol int, data []byte) (text string, changing bool) {
	switch protocol {
	case unix.NETLINK_NETFILTER:
		return describeRules(messages(data))
	case unix.NETLINK_SOCK_DIAG:
		return describeSockets(messages(data))
	case unix.NETLINK_ROUTE:
	default:
		return fmt.Sprintf("netlink protocol %d", protocol), true
	}
	var parts []string
	for _, m := range messages(data) {
		changing = changing || m.kind%4 != 2 // new, del, get, set
		parts = append(parts, routeText(m))
	}
	if len(parts) == 0 {
		return "unknown netlink message", true
	}
	return strings.Join(parts, " + "), changing
}

// describeSockets describes messages to sock_diag: SOCK_DIAG_BY_FAMILY lists sockets, everything else, such as SOCK_DESTROY, is a change.
func describeSockets(all []netlinkMessage) (text string, changing bool) {
	text = "unknown message to sock_diag"
	for i, m := range all {
		if m.kind == unix.SOCK_DIAG_BY_FAMILY && len(m.body) >= 2 && i == 0 {
			text = fmt.Sprintf("SOCK_DIAG_BY_FAMILY family %d protocol %d", m.body[0], m.body[1])
			continue
		}
		changing = true
	}
	return text, changing || len(all) == 0
}

// routeText describes one message of rtnetlink: "RTM_NEWADDR 192.0.2.1/24".
func routeText(m netlinkMessage) string {
	groups := strings.Fields("LINK ADDR ROUTE NEIGH RULE QDISC TCLASS TFILTER ACTION PREFIX MULTICAST ANYCAST NEIGHTBL NDUSEROPT ADDRLABEL DCB NETCONF MDB NSID STATS")
	group := int(m.kind-unix.RTM_BASE) / 4
	name := fmt.Sprintf("rtnetlink message %d", m.kind)
	if m.kind >= unix.RTM_BASE && group < len(groups) {
		name = "RTM_" + []string{"NEW", "DEL", "GET", "SET"}[m.kind%4] + groups[group]
	}
	if m.flags&unix.NLM_F_CREATE != 0 && m.kind%4 == 0 {
		name += " create"
	}
	switch group {
	case 0:
		return name + linkText(m.body)
	case 1:
		return name + addressText(m.body)
	case 2:
		return name + routeOf(m.body)
	}
	return name
}

// attributes calls see with each attribute after a header of the given length.
func attributes(body []byte, header int, see func(kind uint16, value []byte)) {
	for data := body[min(header, len(body)):]; len(data) >= 4; {
		size := int(binary.NativeEndian.Uint16(data))
		if size < 4 || size > len(data) {
			return
		}
		see(binary.NativeEndian.Uint16(data[2:])&0x3fff, data[4:size])
		data = data[min(aligned(size), len(data)):]
	}
}

// linkText returns the interface name, if the message has one, and the attributes that it sets.
func linkText(body []byte) string {
	known := map[uint16]string{
		unix.IFLA_ADDRESS: "address", unix.IFLA_MTU: "mtu", unix.IFLA_MASTER: "master", unix.IFLA_IFALIAS: "alias", unix.IFLA_LINKINFO: "linkinfo",
		unix.IFLA_AF_SPEC: "af", unix.IFLA_NET_NS_FD: "netns", unix.IFLA_GROUP: "group", unix.IFLA_PROTINFO: "protinfo",
	}
	name, sets := "", []string(nil)
	if len(body) >= 16 && binary.NativeEndian.Uint32(body[12:]) != 0 {
		sets = append(sets, fmt.Sprintf("flags %#x/%#x", binary.NativeEndian.Uint32(body[8:]), binary.NativeEndian.Uint32(body[12:])))
	}
	attributes(body, unix.SizeofIfInfomsg, func(kind uint16, value []byte) {
		if kind == unix.IFLA_IFNAME {
			name = " " + strings.TrimRight(string(value), "\x00")
		}
		if known[kind] != "" {
			sets = append(sets, known[kind])
		}
	})
	if len(sets) == 0 {
		return name
	}
	return name + " [" + strings.Join(sets, ", ") + "]"
}

func addressText(body []byte) string {
	text := ""
	attributes(body, unix.SizeofIfAddrmsg, func(kind uint16, value []byte) {
		if addr, ok := netip.AddrFromSlice(value); ok && (kind == unix.IFA_LOCAL || kind == unix.IFA_ADDRESS) {
			text = fmt.Sprintf(" %s/%d", addr, body[1])
		}
	})
	return text
}

func routeOf(body []byte) string {
	text := " default"
	attributes(body, unix.SizeofRtMsg, func(kind uint16, value []byte) {
		if addr, ok := netip.AddrFromSlice(value); ok && kind == unix.RTA_DST {
			text = fmt.Sprintf(" %s/%d", addr, body[1])
		}
	})
	return text
}
