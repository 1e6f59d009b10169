package link

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Link is an interface as the kernel reports it.
type Link struct {
	Name     string
	Index    int
	Kind     string // "veth", "bridge", "tun", ...; "device" for hardware and lo
	Alias    string
	MAC      net.HardwareAddr // nil for all zeros, which lo and a bridge without ports have
	MTU      int              // bytes
	Up       bool
	Promisc  bool  // IFF_PROMISC as set by flags: packet sockets do not count
	AllMulti bool  // IFF_ALLMULTI, likewise
	TxQLen   int   // packets
	Master   int   // index of the bridge it is a port of; 0 for none
	Peer     int   // index, in the other namespace, of the other end of a veth; 0 for none
	Port     *Port // nil if it is no port of a bridge
	VLAN     int   // ID of an interface of type vlan, whose Peer is the interface below it

	Tap TapState // of a tap

	VLANFiltering bool // of a bridge: it keeps VLANs apart

	Forwards4, Forwards6 bool // net.ipv4.conf.<name>.forwarding and the one of IPv6 are on
	Has6                 bool // the kernel has IPv6 for it: not below an MTU of 1280
	Disabled6            bool // net.ipv6.conf.<name>.disable_ipv6 is 1

	peerNetns int    // of the other end, as this namespace numbers them; unknownNetns if it is this one, or there is none
	loopback  bool   // IFF_LOOPBACK
	state     byte   // operational, IF_OPER_* (RFC 2863)
	group     uint32 // 0 unless a program has put it into another

	knowsVLANs  bool // of a bridge: the kernel can filter by VLAN
	defaultPVID int  // of a bridge: the VLAN that a new port is in; 0 for none
}

// Port is the state of a bridge port.
type Port struct {
	Forwarding bool // frames pass
	Disabled   bool // no carrier yet, or switched off; with STP a port goes on to listen and learn
	Hairpin    bool
	STPGuard   bool // BPDU guard: a BPDU from behind the port disables it
	Isolated   bool // frames pass only to and from ports that are not isolated
}

// parseLink reads the body of an RTM_NEWLINK; nil if it is too short. The result does not refer to body.
func parseLink(body []byte) *Link {
	if len(body) < unix.SizeofIfInfomsg {
		return nil
	}
	head := nl.DeserializeIfInfomsg(body)
	l := &Link{
		Index: int(head.Index), Kind: "device", peerNetns: unknownNetns,
		Up: head.Flags&unix.IFF_UP != 0, Promisc: head.Flags&unix.IFF_PROMISC != 0,
		AllMulti: head.Flags&unix.IFF_ALLMULTI != 0, loopback: head.Flags&unix.IFF_LOOPBACK != 0,
	}
	for kind, value := range nlsock.Attributes(body[unix.SizeofIfInfomsg:]) {
		l.read(kind, value)
	}
	return l
}

const (
	operUnknown = 0 // IF_OPER_UNKNOWN, linux/if.h: of drivers that do not maintain the state: lo, some taps
	operUp      = 6 // IF_OPER_UP
)

// operational reports whether the kernel takes a link for operational (netif_oper_up).
//
// IF_OPER_UNKNOWN counts as up, as in the kernel: drivers that do not maintain the state
// leave it there (Documentation/networking/operstates.rst).
func (l *Link) operational() bool { return l.state == operUp || l.state == operUnknown }

// IsBlocked reports whether a bridge has disabled a port that has carrier, as BPDU guard does.
//
// br_stp_rcv disables the port when it receives a BPDU, with a line in the kernel's log.
// The port forwards again after its link went down and up, or after its state was set
// (bridge(8)).
func (l *Link) IsBlocked() bool { return l.Up && l.state == operUp && l.Port != nil && l.Port.Disabled }

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
	case unix.IFLA_TXQLEN:
		l.TxQLen = number(value)
	case unix.IFLA_MASTER:
		l.Master = number(value)
	// Of a veth the kernel sends the index of the other end, which counts in the other
	// end's namespace; IFLA_LINK_NETNSID is only sent if that is another one
	// (rtnl_fill_link_netnsid).
	case unix.IFLA_LINK:
		l.Peer = number(value)
	case unix.IFLA_LINK_NETNSID:
		l.peerNetns = signed(value)
	case unix.IFLA_OPERSTATE:
		if len(value) == 1 {
			l.state = value[0]
		}
	case unix.IFLA_GROUP:
		l.group = uint32(number(value))
	case unix.IFLA_LINKINFO:
		l.readInfo(value)
	case unix.IFLA_AF_SPEC:
		l.readFamilies(value)
	}
}

// readFamilies reads the sysctls that the kernel sends with a link (IFLA_AF_SPEC): arrays of 32-bit
// numbers, of IPv4 in the order of IPV4_DEVCONF_* (linux/ip.h), which begin with 1, and of IPv6 in that
// of DEVCONF_* (linux/ipv6.h), which begin with 0. An interface without IPv6 has no AF_INET6 attribute.
func (l *Link) readFamilies(families []byte) {
	const inetConf, inet6Conf = 1, 2      // IFLA_INET_CONF, IFLA_INET6_CONF, linux/if_link.h
	const forwarding, disableIPv6 = 0, 26 // places in the array
	for family, settings := range nlsock.Attributes(families) {
		for kind, conf := range nlsock.Attributes(settings) {
			switch {
			case family == unix.AF_INET && kind == inetConf:
				l.Forwards4 = nth(conf, forwarding) != 0
			case family == unix.AF_INET6 && kind == inet6Conf:
				l.Has6 = true
				l.Forwards6, l.Disabled6 = nth(conf, forwarding) != 0, nth(conf, disableIPv6) != 0
			}
		}
	}
}

// nth returns an element of an array of 32-bit numbers; 0 if the array is shorter.
func nth(array []byte, n int) int {
	if len(array) < 4*(n+1) {
		return 0
	}
	return number(array[4*n : 4*n+4])
}

// readInfo reads IFLA_LINKINFO: the kind of the link and, of a bridge port, its state.
func (l *Link) readInfo(info []byte) {
	var master string
	var port, data []byte
	for kind, value := range nlsock.Attributes(info) {
		switch kind {
		case nl.IFLA_INFO_KIND:
			l.Kind = unix.ByteSliceToString(value)
		case nl.IFLA_INFO_DATA:
			data = value
		case nl.IFLA_INFO_SLAVE_KIND:
			master = unix.ByteSliceToString(value)
		case nl.IFLA_INFO_SLAVE_DATA:
			port = value
		}
	}
	if master == "bridge" {
		l.Port = parsePort(port)
	}
	l.readVLAN(data)
	l.readTap(data)
}

// readVLAN reads what IFLA_INFO_DATA of a bridge or of an interface of a VLAN says about VLANs. A kernel without VLAN filtering
// sends no IFLA_BR_VLAN_DEFAULT_PVID.
func (l *Link) readVLAN(data []byte) {
	const vlanID = 1 // IFLA_VLAN_ID, linux/if_link.h
	if l.Kind != "bridge" && l.Kind != "vlan" {
		return
	}
	for kind, value := range nlsock.Attributes(data) {
		switch {
		case l.Kind == "vlan" && kind == vlanID && len(value) == 2:
			l.VLAN = int(binary.NativeEndian.Uint16(value))
		case l.Kind == "bridge" && kind == nl.IFLA_BR_VLAN_FILTERING && len(value) == 1:
			l.VLANFiltering = value[0] != 0
		case l.Kind == "bridge" && kind == nl.IFLA_BR_VLAN_DEFAULT_PVID && len(value) == 2:
			l.knowsVLANs, l.defaultPVID = true, int(binary.NativeEndian.Uint16(value))
		}
	}
}

func parsePort(data []byte) *Port {
	const disabled, forwarding = 0, 3 // BR_STATE_*, linux/if_bridge.h
	p := &Port{}
	for kind, value := range nlsock.Attributes(data) {
		switch {
		case kind == nl.IFLA_BRPORT_STATE && len(value) == 1:
			p.Disabled, p.Forwarding = value[0] == disabled, value[0] == forwarding
		case kind == nl.IFLA_BRPORT_MODE && len(value) == 1:
			p.Hairpin = value[0] != 0
		case kind == nl.IFLA_BRPORT_GUARD && len(value) == 1:
			p.STPGuard = value[0] != 0
		case kind == nl.IFLA_BRPORT_ISOLATED && len(value) == 1:
			p.Isolated = value[0] != 0
		}
	}
	return p
}

// number reads a 32-bit value; 0 if the length is another one.
func number(value []byte) int {
	if len(value) != 4 {
		return 0
	}
	return int(binary.NativeEndian.Uint32(value))
}
