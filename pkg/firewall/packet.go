package firewall

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Traffic is a kind of packet that must pass the forward hook.
type Traffic int

// The kinds.
const (
	Leaving    Traffic = iota // the first of a connection from a container to another host
	Returning                 // its reply
	Published                 // the first of a connection from another host to a published port, and its reply
	Neighbours                // both between containers of one bridge, where bridge-nf-call-iptables or -ip6tables is 1
)

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
	default:
		return "packets between containers of the bridge"
	}
}

// packet is what is known of a packet. It is unicast TCP, except with isSolicit: a
// neighbour solicitation. If bridged IPv6 is filtered, these are too, and conntrack
// leaves them untracked.
type packet struct {
	what      Traffic
	isIPv6    bool
	iif, oif  port
	isAnswer  bool
	isSolicit bool
	marked    bool // a rule has set a mark on it or its connection; otherwise the mark is 0
}

// port is the interface that a packet comes from or goes to.
type port struct {
	name     string // "" if unknown
	index    uint32 // 0 if it does not exist yet
	isBridge bool
}

// Bits of `ct state` (NF_CT_STATE_BIT). iptables' match conntrack uses the same bits,
// except for untracked.
const (
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
	if p.what == Published {
		set, unknown = set|statusDNAT|statusDNATDone, unknown&^statusDNATDone
	}
	return set, unknown
}

// solicitation is the ICMPv6 type of a neighbour solicitation.
const solicitation = 135

func (p packet) protocol() byte {
	if p.isSolicit {
		return unix.IPPROTO_ICMPV6
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
	return p.connection(key), !p.isSolicit
}

func (p packet) connection(key uint32) value {
	switch key {
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

// fib returns what `fib` loads: the type of a route, or whether there is one. Both
// ends are unicast addresses of other hosts.
func (p packet) fib(result, flags uint32) value {
	if p.isSolicit {
		return unknown(16, true) // solicitations are multicast, advertisements are not
	}
	switch result {
	case unix.NFT_FIB_RESULT_ADDRTYPE:
		return known(native32(unix.RTN_UNICAST))
	case unix.NFT_FIB_RESULT_OIF:
		if flags&unix.NFTA_FIB_F_PRESENT != 0 {
			return known([]byte{1})
		}
	}
	return unknown(16, false)
}
