package firewall

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Wanted is a kind of packet that must pass the forward hook.
type Wanted int

// The kinds.
const (
	Leaving    Wanted = iota // the first of a connection, from a container to beyond the host
	Returning                // an answer to that
	Published                // the first of a connection to a published port, from beyond the host, and an answer
	Neighbours               // both between containers of one bridge, where bridge-nf-call-iptables or -ip6tables is 1
)

// String is the kind in words that follow "drops".
func (w Wanted) String() string {
	switch w {
	case Leaving:
		return "what leaves"
	case Returning:
		return "answers to what left"
	case Published:
		return "connections to published ports"
	default:
		return "what neighbours send each other"
	}
}

// packet is what is known of one. It is sent to one machine, and it is TCP; but for isSolicit, which
// is the question of a neighbour for another's MAC: where IPv6 that is bridged is filtered, that is
// too, and conntrack leaves it untracked.
type packet struct {
	what      Wanted
	isIPv6    bool
	iif, oif  port
	isAnswer  bool
	isSolicit bool
	marked    bool // a rule has given it a mark, or its connection; else it has none
}

// port is the link that a packet comes from or goes to.
type port struct {
	name     string // "": nobody knows
	index    uint32 // 0: there is none yet
	isBridge bool
}

// State of a connection, as a bit of `ct state` (NF_CT_STATE_BIT); that of iptables' conntrack match
// has the same bits for these, but for the last.
const (
	stateEstablished = 1 << 1
	stateNew         = 1 << 3
	stateUntracked   = 1 << 6
)

// Status of a connection (enum ip_conntrack_status).
const (
	statusSeenReply = 1 << 1
	statusAssured   = 1 << 2
	statusConfirmed = 1 << 3
	statusSNAT      = 1 << 4
	statusDNAT      = 1 << 5
	statusSNATDone  = 1 << 7
	statusDNATDone  = 1 << 8
)

func (p packet) state() uint32 {
	if p.isSolicit {
		return stateUntracked
	}
	if p.isAnswer {
		return stateEstablished
	}
	return stateNew
}

// status is that of the connection when its packet comes to the forward hook: source NAT comes later.
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

// solicitation is the type of a question for a MAC in ICMPv6.
const solicitation = 135

func (p packet) protocol() byte {
	if p.isSolicit {
		return unix.IPPROTO_ICMPV6
	}
	return unix.IPPROTO_TCP
}

// metaIIFKind and metaOIFKind are of Linux 5.5.
const (
	metaIIFKind = 26
	metaOIFKind = 27
)

// meta is what `meta` loads of the packet; false if there is nothing to load, and the rule ends.
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
		return value{}, false // it is no socket's of the host
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

// name16 is a name in the 16 bytes of a register.
func name16(name string) []byte {
	data := make([]byte, unix.IFNAMSIZ)
	copy(data, name)
	return data
}

func native32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// conntrack is what `ct` loads of the packet's connection; false if it has none, and the rule ends.
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

// fib is what `fib` loads: a route's kind, or whether there is one. Both ends are single machines, and
// neither is the host.
func (p packet) fib(result, flags uint32) value {
	if p.isSolicit {
		return unknown(16, true) // it is sent to a group, and its answer is not
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
