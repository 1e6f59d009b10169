package firewall

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// The matches and targets of iptables (xtables) appear in rules of iptables-nft where
// nftables has no expression of its own, or had none. info is the data of one, a
// structure of linux/netfilter/xt_*.h in host byte order; what is cut short reads as
// zero.
type info []byte

func (i info) u8(at int) byte {
	if at >= len(i) {
		return 0
	}
	return i[at]
}

func (i info) u16(at int) uint16 {
	return binary.NativeEndian.Uint16([]byte{i.u8(at), i.u8(at + 1)})
}

func (i info) u32(at int) uint32 {
	return binary.NativeEndian.Uint32([]byte{i.u8(at), i.u8(at + 1), i.u8(at + 2), i.u8(at + 3)})
}

// xtMatch evaluates a match of iptables.
func (j *evaluation) xtMatch(name string, revision uint32, with info) likelihood {
	switch name {
	case "comment":
		return always
	case "conntrack":
		return j.packet.xtConntrack(revision, with)
	case "state":
		return sure(with.u32(0)&j.packet.state() != 0)
	case "addrtype":
		if j.packet.isSolicit && j.packet.toType == 0 {
			return rarely // solicitations are multicast, advertisements are not
		}
		return xtAddrtype(revision, with, j.packet.destType())
	case "physdev":
		return j.packet.xtPhysdev(with)
	case "mark", "connmark": // mark, mask, invert
		if j.packet.marked {
			return perhaps
		}
		return sure(with.u32(0) == 0).inverted(with.u8(8) != 0)
	case "tcp":
		return min(j.packet.is(unix.IPPROTO_TCP), j.packet.xtTCP(with))
	case "udp":
		return min(j.packet.is(unix.IPPROTO_UDP), j.packet.xtPorts(with, with.u8(8)))
	case "sctp":
		return min(j.packet.is(unix.IPPROTO_SCTP), rarely)
	case "icmp", "icmp6": // type, two codes, inversions; 255 is any type
		is := with.u8(0) == j.packet.icmpType() || with.u8(0) == 255
		return min(sure(j.packet.icmpType() != 0), sure(is).inverted(with.u8(3) != 0))
	case "rt", "frag", "hbh", "dst", "ipv6header", "ttl", "length", "mac", "string": // of few packets
		return rarely
	case "hl": // comparison, of which 0 is equal, and hop limit
		if j.packet.isSolicit && with.u8(0) == 0 {
			return sure(with.u8(1) == solicitHops)
		}
		return rarely
	case "multiport":
		return j.packet.xtMultiport(revision, with)
	case "limit":
		return mostly
	default:
		return perhaps
	}
}

// xtTCP evaluates match tcp: source ports, destination ports, option, flag mask,
// flags, inversions. Without any of these it is always true.
func (p packet) xtTCP(with info) likelihood {
	if with.u8(8) != 0 || with.u8(9) != 0 || with.u8(11)&^3 != 0 {
		return rarely
	}
	return p.xtPorts(with, with.u8(11))
}

// xtPorts evaluates the first and last source and destination port of the matches tcp and udp, of which two bits say
// that they are inverted.
func (p packet) xtPorts(with info, inverted byte) likelihood {
	source := p.fromPort.inPorts(with.u16(0), with.u16(2)).inverted(inverted&1 != 0)
	return min(source, p.toPort.inPorts(with.u16(4), with.u16(6)).inverted(inverted&2 != 0))
}

// inPorts compares a port with a range.
func (v value) inPorts(first, last uint16) likelihood {
	switch {
	case first == 0 && last == 0xffff:
		return always
	case len(v.data) != 2 || !v.isKnown():
		return rarely
	}
	port := binary.BigEndian.Uint16(v.data)
	return sure(first <= port && port <= last)
}

// xtMultiport evaluates match multiport: which ports (source, destination, either), their number, 15 ports, 15 flags
// of which each says that the port and the next one are a range, and the inversion. Revision 0 has no ranges.
func (p packet) xtMultiport(revision uint32, with info) likelihood {
	const destination, most, portsAt, rangesAt, invertAt = 1, 15, 2, 32, 47
	isInverted := revision == 1 && with.u8(invertAt) != 0
	if with.u8(0) != destination || len(p.toPort.data) != 2 || !p.toPort.isKnown() {
		return rarely.inverted(isInverted)
	}
	is := never
	for i := 0; i < min(int(with.u8(1)), most); i++ {
		first := with.u16(portsAt + 2*i)
		last := first
		if revision == 1 && with.u8(rangesAt+i) != 0 {
			i++
			last = with.u16(portsAt + 2*i)
		}
		is = max(is, p.toPort.inPorts(first, last))
	}
	return is.inverted(isInverted)
}

// Offsets and bits of linux/netfilter/xt_conntrack.h.
const (
	ctFlagsAt, ctInvertAt, ctStateAt, ctStatusAt = 146, 148, 150, 152

	ctByState     = 1 << 0
	ctByProto     = 1 << 1
	ctByStatus    = 1 << 6
	ctByPort      = 1 << 9 // --ctorigdstport
	ctByDirection = 1 << 12

	ctPortAt, ctLastPortAt = 140, 156 // of revision 3

	ctStateSNAT = 1 << 6
	ctStateDNAT = 1 << 7
	ctUntracked = 1 << 8
)

// xtConntrack evaluates --ctstate, --ctstatus and --ctdir; addresses and ports are
// unknown.
func (p packet) xtConntrack(revision uint32, with info) likelihood {
	by, inverted := with.u16(ctFlagsAt), with.u16(ctInvertAt)
	state, status := uint32(with.u16(ctStateAt)), uint32(with.u16(ctStatusAt))
	switch {
	case revision == 1:
		state, status = uint32(with.u8(ctStateAt)), uint32(with.u8(ctStateAt+1))
	case revision > 3 || revision == 0:
		return perhaps
	}
	so := always
	if by&ctByState != 0 {
		so = min(so, p.inState(state).inverted(inverted&ctByState != 0))
	}
	if p.isSolicit { // the other conditions are about the connection, which it lacks
		return min(so, sure(by&ctByState != 0))
	}
	if by&ctByStatus != 0 {
		set, open := p.status()
		so = min(so, anyOf(set, open, status).inverted(inverted&ctByStatus != 0))
	}
	if by&ctByDirection != 0 { // inverted is the original direction's opposite
		so = min(so, sure(p.isAnswer == (inverted&ctByDirection != 0)))
	}
	if by&ctByPort != 0 && revision == 3 {
		so = min(so, p.original.inPorts(with.u16(ctPortAt), with.u16(ctLastPortAt)).inverted(inverted&ctByPort != 0))
		by &^= ctByPort
	}
	if by&^(ctByState|ctByStatus|ctByDirection) != 0 {
		so = min(so, rarely)
	}
	return so
}

// inState compares the state of the connection, two bits of which depend on its
// status.
func (p packet) inState(mask uint32) likelihood {
	if p.isSolicit {
		return sure(mask&ctUntracked != 0)
	}
	set, open := p.state(), uint32(0)
	isSet, isOpen := p.status()
	for _, bit := range []struct{ status, state uint32 }{{statusSNAT, ctStateSNAT}, {statusDNAT, ctStateDNAT}} {
		if isSet&bit.status != 0 {
			set |= bit.state
		}
		if isOpen&bit.status != 0 {
			open |= bit.state
		}
	}
	return anyOf(set, open, mask)
}

// anyOf reports whether one of a mask's bits is set, if some are unknown.
func anyOf(set, open, mask uint32) likelihood {
	switch {
	case set&mask != 0:
		return always
	case open&mask != 0:
		return perhaps
	default:
		return never
	}
}

// xtAddrtype evaluates match addrtype: the source address is RTN_UNICAST.
func xtAddrtype(revision uint32, with info, destType uint32) likelihood {
	const unicast = 1 << unix.RTN_UNICAST
	source, dest := with.u16(0), with.u16(2)
	invertSource, invertDest := with.u32(4)&1 != 0, with.u32(4)&2 != 0
	if revision == 0 {
		invertSource, invertDest = with.u32(4) != 0, with.u32(8) != 0
	}
	so := always
	if source != 0 {
		so = min(so, sure(source&unicast != 0).inverted(invertSource))
	}
	if dest != 0 {
		so = min(so, sure(dest&(1<<destType) != 0).inverted(invertDest))
	}
	return so
}

// xtPhysdev evaluates --physdev-is-bridged (bit 2): true between containers of one
// bridge, false for routed packets.
func (p packet) xtPhysdev(with info) likelihood {
	const bitmaskAt, invertAt, isBridged = 65, 64, 1 << 2
	if with.u8(bitmaskAt) != isBridged {
		return perhaps
	}
	return sure(p.what == Neighbours).inverted(with.u8(invertAt)&isBridged != 0)
}

// xtTarget evaluates a target that is not a verdict of nftables.
func (j *evaluation) xtTarget(name string, with info) verdict {
	switch name {
	case "DNAT", "REDIRECT", "TPROXY":
		return verdict{kind: translate}
	case "NOTRACK", "CT":
		if j.packet.isEarly && (name == "NOTRACK" || with.u16(0)&1 != 0) {
			return verdict{kind: untrack}
		}
		return verdict{}
	case "REJECT":
		return verdict{kind: drop}
	case "MARK", "CONNMARK":
		j.packet.marked = true
		return verdict{}
	case "LOG", "NFLOG", "AUDIT", "TRACE", "TCPMSS", "CHECKSUM", "CLASSIFY", "DSCP", "TOS", "TTL", "HL", "SET", "TEE", "SECMARK", "CONNSECMARK":
		return verdict{}
	default:
		return verdict{kind: queue} // NFQUEUE, and targets that are not implemented
	}
}
