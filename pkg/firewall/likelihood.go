package firewall

import "bytes"

// likelihood is how often a match is true for the kind of packet that is
// evaluated. A rule has the lowest of its matches, because all must be true.
type likelihood int

const (
	never   likelihood = iota
	rarely             // for some packets: those of one address or port
	perhaps            // unknown: the match is not implemented
	mostly             // for most packets
	always
)

// not returns the likelihood of the opposite match.
func (a likelihood) not() likelihood { return always - a }

// inverted returns not if is, otherwise the same.
func (a likelihood) inverted(is bool) likelihood {
	if is {
		return a.not()
	}
	return a
}

// sure returns always or never.
func sure(is bool) likelihood {
	if is {
		return always
	}
	return never
}

// value is what an expression loads: bytes, some bits of which may be unknown.
type value struct {
	data, unknown []byte
	isVaried      bool // the unknown bits differ between packets, as addresses and ports do
}

// known returns a value of which all bits are known.
func known(data []byte) value { return value{data: data, unknown: make([]byte, len(data))} }

// unknown returns a value of n bytes of which nothing is known.
func unknown(n int, isVaried bool) value {
	return value{data: make([]byte, n), unknown: bytes.Repeat([]byte{0xff}, n), isVaried: isVaried}
}

// isKnown reports whether all bits are known.
func (v value) isKnown() bool { return len(bytes.Trim(v.unknown, "\x00")) == 0 }

// bounds returns the lowest and the highest number, in network byte order, that the value may be.
func (v value) bounds() (lowest, highest []byte) {
	lowest, highest = bytes.Clone(v.data), bytes.Clone(v.data)
	for i, open := range v.unknown {
		lowest[i] &^= open
		highest[i] |= open
	}
	return lowest, highest
}

// guess returns the likelihood that the unknown part has one particular value.
func (v value) guess() likelihood {
	if v.isVaried {
		return rarely
	}
	return perhaps
}

// equals compares the first bytes of the value with all of want.
func (v value) equals(want []byte) likelihood {
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

// registers are the kernel's: four of 16 bytes, or 16 of 4 bytes (NFT_REG32_00) in
// the same memory.
type registers struct {
	data, unknown [64]byte
	isVaried      [64]bool
}

// span returns the offset of a register, and the end of n bytes from there.
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

// load stores a value in a register; the rest of its last word is zero, as in the
// kernel.
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

// get returns n bytes from a register on.
func (r *registers) get(register uint32, n int) value {
	from, to := span(register, n)
	v := value{data: bytes.Clone(r.data[from:to]), unknown: bytes.Clone(r.unknown[from:to])}
	for _, varied := range r.isVaried[from:to] {
		v.isVaried = v.isVaried || varied
	}
	return v
}

// invalidate makes all registers unknown: an expression that is not implemented may
// have loaded any.
func (r *registers) invalidate() {
	for i := range r.unknown {
		r.unknown[i], r.isVaried[i] = 0xff, false
	}
}
