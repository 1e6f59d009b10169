package firewall

import "golang.org/x/sys/unix"

// header is a header of a packet, some bits of which may be unknown.
type header struct {
	data, unknown []byte
	isVaried      []bool // the unknown bits of this byte differ between packets
}

// newHeader returns a header of n bytes of which nothing is known.
func newHeader(n int) header {
	h := header{make([]byte, n), make([]byte, n), make([]bool, n)}
	for i := range h.data {
		h.unknown[i], h.isVaried[i] = 0xff, true
	}
	return h
}

// set sets what is known of the bytes from an offset on.
func (h header) set(offset int, v value) {
	for i := range v.data {
		h.data[offset+i], h.unknown[offset+i], h.isVaried[offset+i] = v.data[i], v.unknown[i], v.isVaried
	}
}

// slice returns n bytes from an offset on; what is behind the end is unknown.
func (h header) slice(offset, n int) value {
	v := unknown(n, false)
	for i := range v.data {
		at := offset + i
		if at < 0 || at >= len(h.data) {
			v.isVaried = true
			continue
		}
		v.data[i], v.unknown[i] = h.data[at], h.unknown[at]
		v.isVaried = v.isVaried || h.isVaried[at] && h.unknown[at] != 0
	}
	return v
}

// solicitHops is the hop limit of neighbour discovery (RFC 4861 section 7.1), which hopsAt of the header of IPv6 has.
const (
	solicitHops = 255
	hopsAt      = 7
)

// networkHeader returns the header of IP.
func (p packet) networkHeader() header {
	length, protocolAt, fromAt, toAt := 20, 9, 12, 16
	if p.isIPv6 {
		length, protocolAt, fromAt, toAt = 40, 6, 8, 24
	}
	h := newHeader(length)
	h.set(protocolAt, known([]byte{p.protocol()}))
	if p.isSolicit {
		h.set(hopsAt, known([]byte{solicitHops}))
	}
	h.set(fromAt, p.from)
	h.set(toAt, p.to)
	return h
}

// transportHeader returns the header of TCP, UDP or ICMP.
func (p packet) transportHeader() header {
	h := newHeader(20)
	if p.icmpType() != 0 {
		h.set(0, known([]byte{p.icmpType(), 0}))
		return h
	}
	h.set(0, p.fromPort)
	h.set(2, p.toPort)
	return h
}

// icmpType returns the type of an ICMP message; 0 of other packets.
func (p packet) icmpType() byte {
	const echoRequest, echoRequest6 = 8, 128
	switch {
	case p.isSolicit:
		return solicitation
	case p.what == Pinging && p.isIPv6:
		return echoRequest6
	case p.what == Pinging:
		return echoRequest
	}
	return 0
}

// is reports whether the packet has a transport protocol.
func (p packet) is(protocol byte) likelihood {
	return sure(p.protocol() == protocol && unix.IPPROTO_IP != protocol)
}
