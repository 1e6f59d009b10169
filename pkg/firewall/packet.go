package firewall

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Traffic is a kind of packet that must pass the packet filters of a host.
type Traffic int

// The kinds.
const (
	Leaving    Traffic = iota // the first of a connection from a container to another host
	Returning                 // its reply
	Published                 // the first of a connection from another host to a published port, and its reply
	Neighbours                // both between containers of one bridge, where bridge-nf-call-iptables or -ip6tables is 1

	Replying  // the reply of a container to a connection of the host
	Resolving // the neighbour solicitation for an IPv6 gateway that the host is
	Pinging   // an echo request to a gateway that the host is
	Asking    // the first packet to a service of the host that containers use: see Bridge.Services

	Arriving // the first packet of a connection to a published port, before its destination is translated
)

// hook returns the hook that decides about the kind.
func (w Traffic) hook() hook {
	switch w {
	case Replying, Resolving, Pinging, Asking:
		return input
	case Arriving:
		return prerouting
	default:
		return forward
	}
}

// String returns the kind as a noun phrase, which follows the version of IP: "drops
// IPv4 packets from containers".
func (w Traffic) String() string {
	switch w {
	case Leaving:
		return "packets from containers"
	case Returning:
		return "replies to containers"
	case Published:
		return "connections to published ports"
	case Replying:
		return "replies of containers to the host"
	case Resolving:
		return "neighbour solicitations of containers for their gateway"
	case Pinging:
		return "echo requests of containers to their gateway"
	case Asking:
		return "requests of containers to a service of the host"
	case Arriving:
		return "connections to published ports before translation"
	default:
		return "packets between containers of the bridge"
	}
}

// packet is what is known of a packet. It is unicast TCP, except with isSolicit: a
// neighbour solicitation. If bridged IPv6 is filtered, these are too, and conntrack
// leaves them untracked. Of its addresses and ports known is what from, to, fromPort
// and toPort have: bits, or nothing.
type packet struct {
	what      Traffic
	isIPv6    bool
	iif, oif  port
	isAnswer  bool
	isSolicit bool
	isEarly   bool // before conntrack: it has no connection yet
	marked    bool // a rule has set a mark on it or its connection; otherwise the mark is 0

	transport        byte // 0 is TCP
	from, to         value
	fromPort, toPort value
	original         value  // the destination port of the connection's first packet
	toType           uint32 // of its destination address, RTN_LOCAL for example; 0 is RTN_UNICAST

	first, last int32 // of Arriving: the priorities of the chains that the packet passes so
	isLate      bool  // of Arriving: Patchbay has translated the destination

	about   Subject // whose packet it is; the zero Subject is any attachment of the bridge
	service Service // of Asking
}

// port is the interface that a packet comes from or goes to.
type port struct {
	name     string // "" if unknown
	index    uint32 // 0 if it does not exist yet
	isBridge bool
	isNone   bool // the packet has none, as at the input hook
}

// Bits of `ct state` (NF_CT_STATE_BIT). iptables' match conntrack uses the same bits,
// except for untracked.
const (
	stateInvalid     = 1 << 0
	stateEstablished = 1 << 1
	stateNew         = 1 << 3
	stateUntracked   = 1 << 6
)

// Bits of `ct status` (enum ip_conntrack_status).
const (
	statusSeenReply = 1 << 1
	statusAssured   = 1 << 2
	statusConfirmed = 1 << 3
	statusSNAT      = 1 << 4
	statusDNAT      = 1 << 5
	statusSNATDone  = 1 << 7
	statusDNATDone  = 1 << 8
)

// state returns the state of the packet's connection.
func (p packet) state() uint32 {
	if p.isSolicit {
		return stateUntracked
	}
	if p.isEarly {
		return stateInvalid
	}
	if p.isAnswer {
		return stateEstablished
	}
	return stateNew
}

// status returns the status of the connection when the packet reaches the forward
// hook: source NAT comes later.
func (p packet) status() (set, unknown uint32) {
	unknown = statusSNATDone | statusDNATDone
	if p.isAnswer {
		set, unknown = statusSeenReply|statusConfirmed, unknown|statusAssured|statusSNAT
	}
	if p.what == Published || p.isLate {
		set, unknown = set|statusDNAT|statusDNATDone, unknown&^statusDNATDone
	}
	return set, unknown
}

// solicitation is the ICMPv6 type of a neighbour solicitation.
const solicitation = 135

func (p packet) protocol() byte {
	switch {
	case p.isSolicit || p.what == Pinging && p.isIPv6:
		return unix.IPPROTO_ICMPV6
	case p.what == Pinging:
		return unix.IPPROTO_ICMP
	case p.transport != 0:
		return p.transport
	}
	return unix.IPPROTO_TCP
}

// Keys of Linux 5.5.
const (
	metaIIFKind = 26
	metaOIFKind = 27
)

// meta returns what `meta` loads; false if the packet lacks it and the rule ends.
func (p packet) meta(key uint32) (value, bool) {
	switch key {
	case unix.NFT_META_IIFNAME, unix.NFT_META_IIF, unix.NFT_META_IIFTYPE, metaIIFKind:
		return p.iif.meta(key), true
	case unix.NFT_META_OIFNAME, unix.NFT_META_OIF, unix.NFT_META_OIFTYPE, metaOIFKind:
		return p.oif.meta(key), true
	case unix.NFT_META_NFPROTO:
		return known([]byte{p.family()}), true
	case unix.NFT_META_L4PROTO:
		return known([]byte{p.protocol()}), true
	case unix.NFT_META_PROTOCOL:
		if p.isIPv6 {
			return known([]byte{0x86, 0xdd}), true
		}
		return known([]byte{0x08, 0x00}), true
	case unix.NFT_META_MARK:
		return p.mark(), true
	case unix.NFT_META_PKTTYPE:
		switch p.toType {
		case unix.RTN_MULTICAST:
			return known([]byte{unix.PACKET_MULTICAST}), true
		case unix.RTN_BROADCAST:
			return known([]byte{unix.PACKET_BROADCAST}), true
		}
		return known([]byte{unix.PACKET_HOST}), true
	case unix.NFT_META_SKUID, unix.NFT_META_SKGID, unix.NFT_META_CGROUP:
		return value{}, false // it is forwarded: no socket of the host
	case unix.NFT_META_LEN:
		return unknown(4, true), true
	default:
		return unknown(16, false), true
	}
}

func (p packet) mark() value {
	if p.marked {
		return unknown(4, false)
	}
	return known(make([]byte, 4))
}

func (p packet) family() byte {
	if p.isIPv6 {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}

func (l port) meta(key uint32) value {
	if l.isNone {
		return known(make([]byte, unix.IFNAMSIZ))
	}
	switch key {
	case unix.NFT_META_IIF, unix.NFT_META_OIF:
		if l.index == 0 {
			return unknown(4, true)
		}
		return known(native32(l.index))
	case unix.NFT_META_IIFTYPE, unix.NFT_META_OIFTYPE:
		if l.isBridge {
			return known(binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_ETHER))
		}
		return unknown(2, false)
	case metaIIFKind, metaOIFKind:
		if l.isBridge {
			return known(name16("bridge"))
		}
		return unknown(16, true)
	}
	if l.name == "" {
		return unknown(unix.IFNAMSIZ, true)
	}
	return known(name16(l.name))
}

// name16 returns a name in the 16 bytes of a register.
func name16(name string) []byte {
	data := make([]byte, unix.IFNAMSIZ)
	copy(data, name)
	return data
}

func native32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// conntrack returns what `ct` loads; false if the packet has no connection and the
// rule ends.
func (p packet) conntrack(key uint32) (value, bool) {
	if key == unix.NFT_CT_STATE {
		return known(native32(p.state())), true
	}
	return p.connection(key), !p.isSolicit && !p.isEarly
}

func (p packet) connection(key uint32) value {
	switch key {
	case unix.NFT_CT_PROTO_DST: // mostly of the original direction
		if len(p.original.data) > 0 {
			return p.original
		}
		return unknown(2, true)
	case unix.NFT_CT_DIRECTION:
		return known([]byte{byte(sure(p.isAnswer) / always)})
	case unix.NFT_CT_STATUS:
		set, open := p.status()
		return value{data: native32(set), unknown: native32(open)}
	case unix.NFT_CT_MARK:
		return p.mark()
	case unix.NFT_CT_L3PROTOCOL:
		return known([]byte{p.family()})
	case unix.NFT_CT_PROTOCOL:
		return known([]byte{p.protocol()})
	case unix.NFT_CT_ZONE:
		return known(make([]byte, 2))
	case unix.NFT_CT_SECMARK, unix.NFT_CT_EVENTMASK, unix.NFT_CT_ID:
		return unknown(16, false)
	default:
		return unknown(16, true) // addresses, ports, counters, helper, labels
	}
}

// destType returns the type of the destination address.
func (p packet) destType() uint32 {
	if p.toType == 0 {
		return unix.RTN_UNICAST
	}
	return p.toType
}

// fib returns what `fib` loads: the type of a route, or whether there is one. The
// source is a unicast address of another host.
func (p packet) fib(result, flags uint32) value {
	if p.isSolicit && p.toType == 0 {
		return unknown(16, true) // solicitations are multicast, advertisements are not
	}
	switch result {
	case unix.NFT_FIB_RESULT_ADDRTYPE:
		if flags&unix.NFTA_FIB_F_DADDR != 0 {
			return known(native32(p.destType()))
		}
		return known(native32(unix.RTN_UNICAST))
	case unix.NFT_FIB_RESULT_OIF:
		if flags&unix.NFTA_FIB_F_PRESENT != 0 {
			return known([]byte{1})
		}
	}
	return unknown(16, false)
}
