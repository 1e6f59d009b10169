package firewall

import "bytes"

// answer says how often a match is true for a packet of the kind that is thought through the rules.
// Of several in one rule the lowest counts, for all must be true.
type answer int

const (
	never   answer = iota
	rarely         // for some packets: those of one address, or one port, which is not the usual one
	perhaps        // nobody knows: a match that is not understood
	mostly         // for all packets but some
	always
)

// not is the answer of the opposite match.
func (a answer) not() answer { return always - a }

func (a answer) inverted(is bool) answer {
	if is {
		return a.not()
	}
	return a
}

func sure(is bool) answer {
	if is {
		return always
	}
	return never
}

// value is what an expression loads: bytes, some of whose bits may be unknown.
type value struct {
	data, unknown []byte
	isVaried      bool // what is unknown differs from packet to packet, as addresses and ports do
}

func known(data []byte) value { return value{data: data, unknown: make([]byte, len(data))} }

// unknown is a value of n bytes of which nothing is known.
func unknown(n int, isVaried bool) value {
	return value{data: make([]byte, n), unknown: bytes.Repeat([]byte{0xff}, n), isVaried: isVaried}
}

func (v value) isKnown() bool { return len(bytes.Trim(v.unknown, "\x00")) == 0 }

// guess is the answer to a question for one particular value of what is not known.
func (v value) guess() answer {
	if v.isVaried {
		return rarely
	}
	return perhaps
}

// equals compares the value's first bytes with all of want.
func (v value) equals(want []byte) answer {
	n := min(len(want), len(v.data))
	isOpen := len(want) > n
	for i := range n {
		if (v.data[i]^want[i])&^v.unknown[i] != 0 {
			return never
		}
		isOpen = isOpen || v.unknown[i] != 0
	}
	if isOpen {
		return v.guess()
	}
	return always
}

// registers are the kernel's: four of 16 bytes, or 16 of 4 (NFT_REG32_00), over the same bytes.
type registers struct {
	data, unknown [64]byte
	isVaried      [64]bool
}

// span is where a register begins, and how many of n bytes it has.
func span(register uint32, n int) (from, to int) {
	switch {
	case register >= 1 && register <= 4:
		from = int(register-1) * 16
	case register >= 8 && register < 24:
		from = int(register-8) * 4
	default:
		return 0, 0
	}
	return from, min(64, from+max(0, n))
}

// load puts a value into a register; what is left of its last word is zero, as in the kernel.
func (r *registers) load(register uint32, v value) {
	from, to := span(register, (len(v.data)+3)/4*4)
	for i := from; i < to; i++ {
		r.data[i], r.unknown[i], r.isVaried[i] = 0, 0, false
		if at := i - from; at < len(v.data) {
			r.data[i], r.unknown[i] = v.data[at], v.unknown[at]
			r.isVaried[i] = v.unknown[at] != 0 && v.isVaried
		}
	}
}

// get is what n bytes from a register on hold.
func (r *registers) get(register uint32, n int) value {
	from, to := span(register, n)
	v := value{data: bytes.Clone(r.data[from:to]), unknown: bytes.Clone(r.unknown[from:to])}
	for _, varied := range r.isVaried[from:to] {
		v.isVaried = v.isVaried || varied
	}
	return v
}

// spoil makes everything unknown: an expression that is not understood may have loaded something.
func (r *registers) spoil() {
	for i := range r.unknown {
		r.unknown[i], r.isVaried[i] = 0xff, false
	}
}
