package firewall

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// choice is a verdict that a rule may reach, and how often.
type choice struct {
	likelihood likelihood
	verdict    verdict
}

// evaluation is the state of one rule's evaluation: registers, and how often all
// matches so far are true.
type evaluation struct {
	*traversal
	in        place // the rule's chain
	registers registers
	so        likelihood
}

// rule returns the verdicts that a rule may reach; none if it does not match.
func (w *traversal) rule(in place, r rule) (all []choice, err error) {
	j := &evaluation{traversal: w, in: in, so: always}
	for _, e := range r.expressions {
		choices, err := j.step(e)
		if err != nil {
			return nil, err
		}
		all = append(all, choices...)
		if j.so == never {
			break
		}
	}
	return all, nil
}

// step evaluates one expression. It returns the verdicts that end the rule there; so
// is then how often the rule continues.
func (j *evaluation) step(e expression) ([]choice, error) {
	switch e.name {
	case "immediate":
		data := e.with.nested(unix.NFTA_IMMEDIATE_DATA)
		if dreg := e.with.number(unix.NFTA_IMMEDIATE_DREG); dreg != unix.NFT_REG_VERDICT {
			j.registers.load(dreg, known(data.values[unix.NFTA_DATA_VALUE]))
			return nil, nil
		}
		return j.ends(verdictOf(data)), nil
	case "reject":
		return j.ends(verdict{kind: drop}), nil
	case "queue":
		return j.ends(verdict{kind: queue}), nil
	case "redir", "tproxy":
		return j.ends(verdict{kind: translate}), nil
	case "nat":
		if e.with.number(unix.NFTA_NAT_TYPE) != unix.NFT_NAT_DNAT {
			return j.ends(verdict{kind: accept}), nil
		}
		return j.ends(verdict{kind: translate}), nil
	case "notrack":
		if j.packet.isEarly {
			return j.ends(verdict{kind: untrack}), nil
		}
		return nil, nil
	case "target":
		return j.ends(j.xtTarget(e.with.text(unix.NFTA_TARGET_NAME), e.with.values[unix.NFTA_TARGET_INFO])), nil
	case "lookup":
		return j.lookup(e)
	default:
		j.so = min(j.so, j.match(e))
		return nil, nil
	}
}

// ends ends the rule with a verdict.
func (j *evaluation) ends(v verdict) []choice {
	if v.kind == none {
		return nil
	}
	so := j.so
	j.so = never
	if v.kind == stop {
		return nil
	}
	return []choice{{so, v}}
}

// match evaluates an expression that loads, compares, or has a side effect.
func (j *evaluation) match(e expression) likelihood {
	switch e.name {
	case "meta":
		return j.meta(e.with)
	case "ct":
		return j.conntrack(e.with)
	case "payload":
		return j.payload(e.with)
	case "fib":
		j.registers.load(e.with.number(unix.NFTA_FIB_DREG), j.packet.fib(e.with.number(unix.NFTA_FIB_RESULT), e.with.number(unix.NFTA_FIB_FLAGS)))
		return always
	case "exthdr": // an option of TCP or an extension header of IPv6; or it is written
		if e.with.has(unix.NFTA_EXTHDR_DREG) {
			j.registers.load(e.with.number(unix.NFTA_EXTHDR_DREG), unknown(max(1, int(e.with.number(unix.NFTA_EXTHDR_LEN)&0xff)), true))
		}
		return always
	case "cmp":
		return j.compare(e.with)
	case "range":
		return j.within(e.with)
	case "bitwise":
		j.bitwise(e.with)
		return always
	case "byteorder":
		j.swap(e.with)
		return always
	case "match":
		return j.xtMatch(e.with.text(unix.NFTA_MATCH_NAME), e.with.number(unix.NFTA_MATCH_REV), e.with.values[unix.NFTA_MATCH_INFO])
	case "limit":
		return rarely.inverted(e.with.number(unix.NFTA_LIMIT_FLAGS)&1 == 0)
	case "quota":
		return rarely.inverted(e.with.number(unix.NFTA_QUOTA_FLAGS)&1 == 0)
	case "connlimit":
		const flags = 2 // NFTA_CONNLIMIT_FLAGS
		return rarely.inverted(e.with.number(flags)&1 == 0)
	case "objref":
		return objectRef(e.with)
	case "dynset":
		if e.with.has(unix.NFTA_DYNSET_EXPR) {
			return perhaps // a limit for each element
		}
		return always
	case "counter", "log", "last", "flow_offload", "dup":
		return always
	default:
		j.registers.invalidate()
		return perhaps
	}
}

// objectRef evaluates a reference to a stateful object.
func objectRef(with attributes) likelihood {
	switch with.number(unix.NFTA_OBJREF_IMM_TYPE) {
	case 1, 3, 7, 8, 9: // a counter; a connection's helper, timeout, security mark, expectation
		return always
	default:
		return perhaps // a quota, a limit, or one that a map names
	}
}

func (j *evaluation) meta(with attributes) likelihood {
	key := with.number(unix.NFTA_META_KEY)
	if with.has(unix.NFTA_META_SREG) {
		j.packet.marked = j.packet.marked || key == unix.NFT_META_MARK
		return always
	}
	v, is := j.packet.meta(key)
	j.registers.load(with.number(unix.NFTA_META_DREG), v)
	return sure(is)
}

func (j *evaluation) conntrack(with attributes) likelihood {
	key := with.number(unix.NFTA_CT_KEY)
	if with.has(unix.NFTA_CT_SREG) {
		j.packet.marked = j.packet.marked || key == unix.NFT_CT_MARK
		return always
	}
	v, is := j.packet.conntrack(key)
	j.registers.load(with.number(unix.NFTA_CT_DREG), v)
	return sure(is)
}

// payload loads from a packet's headers.
func (j *evaluation) payload(with attributes) likelihood {
	if with.has(unix.NFTA_PAYLOAD_SREG) {
		return always
	}
	n, offset := int(min(with.number(unix.NFTA_PAYLOAD_LEN), 64)), int(min(with.number(unix.NFTA_PAYLOAD_OFFSET), 1<<16))
	v := unknown(n, true)
	switch with.number(unix.NFTA_PAYLOAD_BASE) {
	case unix.NFT_PAYLOAD_NETWORK_HEADER:
		v = j.network().slice(offset, n)
	case unix.NFT_PAYLOAD_TRANSPORT_HEADER:
		v = j.transport().slice(offset, n)
	}
	j.registers.load(with.number(unix.NFTA_PAYLOAD_DREG), v)
	return always
}

func (j *evaluation) compare(with attributes) likelihood {
	want := with.nested(unix.NFTA_CMP_DATA).values[unix.NFTA_DATA_VALUE]
	v := j.registers.get(with.number(unix.NFTA_CMP_SREG), len(want))
	op := with.number(unix.NFTA_CMP_OP)
	if op == unix.NFT_CMP_EQ || op == unix.NFT_CMP_NEQ {
		return v.equals(want).inverted(op == unix.NFT_CMP_NEQ)
	}
	if !v.isKnown() || len(v.data) != len(want) {
		return v.guess()
	}
	order := bytes.Compare(v.data, want)
	switch op {
	case unix.NFT_CMP_LT:
		return sure(order < 0)
	case unix.NFT_CMP_LTE:
		return sure(order <= 0)
	case unix.NFT_CMP_GT:
		return sure(order > 0)
	case unix.NFT_CMP_GTE:
		return sure(order >= 0)
	default:
		return perhaps
	}
}

func (j *evaluation) within(with attributes) likelihood {
	from := with.nested(unix.NFTA_RANGE_FROM_DATA).values[unix.NFTA_DATA_VALUE]
	to := with.nested(unix.NFTA_RANGE_TO_DATA).values[unix.NFTA_DATA_VALUE]
	v := j.registers.get(with.number(unix.NFTA_RANGE_SREG), len(from))
	a := v.guess()
	if lowest, highest := v.bounds(); len(v.data) == len(from) {
		switch {
		case bytes.Compare(from, lowest) <= 0 && bytes.Compare(highest, to) <= 0:
			a = always
		case bytes.Compare(highest, from) < 0 || bytes.Compare(to, lowest) < 0:
			a = never
		}
	}
	return a.inverted(with.number(unix.NFTA_RANGE_OP) == 1)
}

// bitwise evaluates `& mask ^ xor`. Shifts (Linux 5.7) and operations on two
// registers (6.13) are not implemented.
func (j *evaluation) bitwise(with attributes) {
	const op = 6 // NFTA_BITWISE_OP; 0 is mask and xor
	mask := with.nested(unix.NFTA_BITWISE_MASK).values[unix.NFTA_DATA_VALUE]
	xor := with.nested(unix.NFTA_BITWISE_XOR).values[unix.NFTA_DATA_VALUE]
	v := j.registers.get(with.number(unix.NFTA_BITWISE_SREG), len(mask))
	dreg := with.number(unix.NFTA_BITWISE_DREG)
	if with.number(op) != 0 || len(mask) == 0 || len(xor) != len(mask) || len(v.data) != len(mask) {
		n := int(min(with.number(unix.NFTA_BITWISE_LEN), 64))
		j.registers.load(dreg, unknown(n, j.registers.get(with.number(unix.NFTA_BITWISE_SREG), n).isVaried))
		return
	}
	for i := range mask {
		v.data[i] = v.data[i]&mask[i] ^ xor[i]
		v.unknown[i] &= mask[i]
	}
	j.registers.load(dreg, v)
}

// swap evaluates byteorder, which nft(8) adds before an ordered comparison of a
// number in host order.
func (j *evaluation) swap(with attributes) {
	n, size := int(min(with.number(unix.NFTA_BYTEORDER_LEN), 64)), int(with.number(unix.NFTA_BYTEORDER_SIZE))
	v := j.registers.get(with.number(unix.NFTA_BYTEORDER_SREG), n)
	isLittle := binary.NativeEndian.Uint16([]byte{1, 0}) == 1
	if isLittle && (size == 2 || size == 4 || size == 8) {
		for i := 0; i+size <= len(v.data); i += size {
			reverse(v.data[i : i+size])
			reverse(v.unknown[i : i+size])
		}
	}
	j.registers.load(with.number(unix.NFTA_BYTEORDER_DREG), v)
}
