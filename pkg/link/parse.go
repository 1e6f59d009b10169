package link

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Link is what there is to say about an interface.
type Link struct {
	Name    string
	Index   int
	Kind    string // "veth", "bridge", "tun", ...; "device" for hardware and lo
	Alias   string
	MAC     net.HardwareAddr // nil for all zeros, which Linux gives what has none
	MTU     int              // bytes
	Up      bool
	Promisc bool  // IFF_PROMISC
	Master  int   // index of the bridge it is a port of; 0 for none
	Peer    int   // index, in the other namespace, of the other end of a veth; 0 for none
	Port    *Port // nil if it is no port of a bridge

	state byte   // operational, IF_OPER_* (RFC 2863)
	group uint32 // 0 unless somebody has put it into another
}

// Port is what the bridge says of one of its ports.
type Port struct {
	Forwarding bool // frames pass
	Disabled   bool // no carrier yet, or switched off; with STP a port goes on to listen and learn
	Hairpin    bool
}

// parseLink reads the body of an RTM_NEWLINK; nil if it is too short to be one. Nothing of the
// result lies in body.
func parseLink(body []byte) *Link {
	if len(body) < unix.SizeofIfInfomsg {
		return nil
	}
	head := nl.DeserializeIfInfomsg(body)
	l := &Link{
		Index: int(head.Index), Kind: "device",
		Up: head.Flags&unix.IFF_UP != 0, Promisc: head.Flags&unix.IFF_PROMISC != 0,
	}
	for kind, value := range attributes(body[unix.SizeofIfInfomsg:]) {
		l.read(kind, value)
	}
	return l
}

const (
	operUnknown = 0 // IF_OPER_UNKNOWN, linux/if.h: of links that never tell, as lo and some taps
	operUp      = 6 // IF_OPER_UP
)

// operational is what the kernel takes for it (netif_oper_up).
func (l *Link) operational() bool { return l.state == operUp || l.state == operUnknown }

func (l *Link) read(kind int, value []byte) {
	switch kind {
	case unix.IFLA_IFNAME:
		l.Name = unix.ByteSliceToString(value)
	case unix.IFLA_IFALIAS:
		l.Alias = unix.ByteSliceToString(value)
	case unix.IFLA_ADDRESS:
		if len(bytes.Trim(value, "\x00")) > 0 {
			l.MAC = slices.Clone(value)
		}
	case unix.IFLA_MTU:
		l.MTU = number(value)
	case unix.IFLA_MASTER:
		l.Master = number(value)
	case unix.IFLA_LINK:
		l.Peer = number(value)
	case unix.IFLA_OPERSTATE:
		if len(value) == 1 {
			l.state = value[0]
		}
	case unix.IFLA_GROUP:
		l.group = uint32(number(value))
	case unix.IFLA_LINKINFO:
		l.readInfo(value)
	}
}

func (l *Link) readInfo(info []byte) {
	var master string
	var port []byte
	for kind, value := range attributes(info) {
		switch kind {
		case nl.IFLA_INFO_KIND:
			l.Kind = unix.ByteSliceToString(value)
		case nl.IFLA_INFO_SLAVE_KIND:
			master = unix.ByteSliceToString(value)
		case nl.IFLA_INFO_SLAVE_DATA:
			port = value
		}
	}
	if master == "bridge" {
		l.Port = parsePort(port)
	}
}

func parsePort(data []byte) *Port {
	const disabled, forwarding = 0, 3 // BR_STATE_*, linux/if_bridge.h
	p := &Port{}
	for kind, value := range attributes(data) {
		switch {
		case kind == nl.IFLA_BRPORT_STATE && len(value) == 1:
			p.Disabled, p.Forwarding = value[0] == disabled, value[0] == forwarding
		case kind == nl.IFLA_BRPORT_MODE && len(value) == 1:
			p.Hairpin = value[0] != 0
		}
	}
	return p
}

// number reads a 32 bit value; 0 if it is none.
func number(value []byte) int {
	if len(value) != 4 {
		return 0
	}
	return int(binary.NativeEndian.Uint32(value))
}
