package firewall

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// Inversion bits of an entry (IPT_INV_VIA_IN and so on).
const (
	notFrom     = 1 << 0
	notTo       = 1 << 1
	notSource   = 1 << 3
	notDest     = 1 << 4
	notProtocol = 1 << 6
)

// rule translates an entry of iptables-legacy into the expressions that iptables-nft
// uses for it.
func (l legacyTables) rule(e entry, names map[int]string) (r rule) {
	invert := e.data.u8(l.invert)
	add := func(steps ...step) {
		for _, s := range steps {
			with, _ := parse(s.data) // as it was encoded
			r.expressions = append(r.expressions, expression{s.name, with})
		}
	}
	for i, key := range []uint32{unix.NFT_META_IIFNAME, unix.NFT_META_OIFNAME} {
		name, mask := e.data[l.links+16*i:][:16], e.data[l.links+32+16*i:][:16]
		if n := len(bytes.TrimRight(mask, "\x00")); n > 0 { // the mask ends behind the name's end, or before a +
			add(meta(key), compared(name[:n], invert&[]byte{notFrom, notTo}[i] != 0))
		}
	}
	for i, not := range []byte{notSource, notDest} {
		address, mask := e.data[l.size*i:][:l.size], e.data[l.size*(i+2):][:l.size]
		if len(bytes.Trim(mask, "\x00")) > 0 {
			add(fromHeader(l.source+l.size*i, l.size), masked(mask), compared(address, invert&not != 0))
		}
	}
	if protocol := e.data.u16(l.protocol); protocol != 0 {
		add(meta(unix.NFT_META_L4PROTO), compared([]byte{byte(protocol)}, invert&notProtocol != 0))
	}
	for _, m := range e.matches {
		add(xtMatch(m.text(nameAt, revisionAt), uint32(m.u8(revisionAt)), m[dataAt:]))
	}
	if name := e.targetName(); name != "" {
		add(step{"target", encoded(attribute(unix.NFTA_TARGET_NAME, cstring(name)), attribute(unix.NFTA_TARGET_INFO, e.target[dataAt:]))})
	} else if v := l.verdict(e, names); v.kind != none {
		add(decided(v))
	}
	return r
}
