package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// compare prints a comparison of the loaded value, or notes the protocol that it selects.
func (p *printer) compare(e *expr.Cmp) error {
	if len(p.loads) == 0 {
		return fmt.Errorf("%w: %#v", errSyntax, e)
	}
	last := p.loads[len(p.loads)-1]
	mask := p.mask
	p.loads, p.mask = p.loads[:len(p.loads)-1], nil
	switch from := last.from.(type) {
	case *expr.Meta:
		return p.compareMeta(from, e.Data, mask)
	case *expr.Ct:
		p.say(last.text, ctText(from.Key, e.Data, mask))
		return nil
	case *expr.Fib:
		p.say(last.text, "local")
		return nil
	}
	return p.comparePayload(last, e, mask)
}

// compareMeta prints a comparison of a mark, or notes that of a protocol.
func (p *printer) compareMeta(e *expr.Meta, data, mask []byte) error {
	switch e.Key {
	case expr.MetaKeyMARK:
		p.say(fmt.Sprintf("meta mark & 0x%08x == 0x%08x", binary.NativeEndian.Uint32(mask), binary.NativeEndian.Uint32(data)))
	case expr.MetaKeyNFPROTO:
		p.link = unix.ETH_P_IP
		if data[0] == unix.NFPROTO_IPV6 {
			p.link = unix.ETH_P_IPV6
		}
		p.family = &depends{"meta nfproto " + map[uint16]string{unix.ETH_P_IP: "ipv4", unix.ETH_P_IPV6: "ipv6"}[p.link], len(p.words)}
	case expr.MetaKeyPROTOCOL:
		p.onLink("meta protocol", data)
	case expr.MetaKeyL4PROTO:
		p.proto = data[0] // every rule compares a field of the header then, which implies it
	default:
		return fmt.Errorf("%w: %#v", errSyntax, e)
	}
	return nil
}

// onLink notes the protocol above the link layer.
func (p *printer) onLink(what string, data []byte) {
	p.link = binary.BigEndian.Uint16(data)
	p.family = &depends{what + " " + etherTypes()[p.link], len(p.words)}
}

func etherTypes() map[uint16]string {
	return map[uint16]string{unix.ETH_P_IP: "ip", unix.ETH_P_IPV6: "ip6", unix.ETH_P_ARP: "arp"}
}

// ctText returns the value of a comparison with a property of the connection.
func ctText(key expr.CtKey, data, mask []byte) string {
	switch key {
	case expr.CtKeyDIRECTION:
		return map[byte]string{0: "original", 1: "reply"}[data[0]]
	case expr.CtKeySTATUS:
		return "dnat"
	}
	var states []string
	bits := binary.NativeEndian.Uint32(mask)
	for _, s := range []struct {
		bit  uint32
		name string
	}{{expr.CtStateBitINVALID, "invalid"}, {expr.CtStateBitESTABLISHED, "established"}, {expr.CtStateBitRELATED, "related"}} {
		if bits&s.bit != 0 {
			states = append(states, s.name)
		}
	}
	return strings.Join(states, ",")
}

// payload returns the name of a field of a header, and settles whether it implies the protocol that the rule has
// compared before.
func (p *printer) payload(e *expr.Payload) string {
	at := [2]uint32{e.Offset, e.Len}
	switch e.Base {
	case expr.PayloadBaseLLHeader:
		return map[[2]uint32]string{{6, 6}: "ether saddr", {12, 2}: "ether type"}[at]
	case expr.PayloadBaseTransportHeader:
		return p.transport(at)
	case expr.PayloadBaseNetworkHeader:
		if field := networkFields()[p.link][at]; field != "" {
			p.family = nil
			return field
		}
		return fmt.Sprintf("@nh,%d,%d", 8*e.Offset, 8*e.Len)
	}
	return ""
}

// networkFields returns the names of the fields of the network header by offset and length.
func networkFields() map[uint16]map[[2]uint32]string {
	return map[uint16]map[[2]uint32]string{
		unix.ETH_P_IP:   {{12, 4}: "ip saddr", {16, 4}: "ip daddr"},
		unix.ETH_P_IPV6: {{8, 16}: "ip6 saddr", {24, 16}: "ip6 daddr", {6, 1}: "ip6 nexthdr", {7, 1}: "ip6 hoplimit"},
		unix.ETH_P_ARP:  {{6, 2}: "arp operation", {8, 6}: "arp saddr ether", {arpSender, 4}: "arp saddr ip"},
	}
}

// transport returns the name of a field of the transport header.
func (p *printer) transport(at [2]uint32) string {
	switch p.proto {
	case unix.IPPROTO_ICMPV6:
		p.family = nil
		return "icmpv6 type"
	case unix.IPPROTO_IGMP:
		return "igmp type"
	case 0:
		return "th dport"
	}
	if at == [2]uint32{0, 4} {
		return ProtoName(p.proto) + " ports"
	}
	return ProtoName(p.proto) + map[uint32]string{0: " sport", 2: " dport"}[at[0]]
}

// comparePayload prints a comparison of a field.
func (p *printer) comparePayload(l loaded, e *expr.Cmp, mask []byte) error {
	if l.text == "ether type" {
		p.onLink(l.text, e.Data)
		return nil
	}
	if proto, both := strings.CutSuffix(l.text, " ports"); both {
		p.say(proto, "sport", number(e.Data[:2]), proto, "dport", number(e.Data[2:]))
		return nil
	}
	p.say(l.text)
	if e.Op == expr.CmpOpNeq {
		p.say("!=")
	}
	p.say(fieldValue(l.text, e.Data, mask))
	return nil
}

// fieldValue returns a value as nft(8) prints it for a field.
func fieldValue(field string, data, mask []byte) string {
	names := map[string]map[byte]string{
		"icmpv6 type": {
			mldQuery: "mld-listener-query", mldReport: "mld-listener-report", mld2Report: "mld2-listener-report", routerSolicit: "nd-router-solicit",
			routerAdvert: "nd-router-advert", neighbourAsk: "nd-neighbor-solicit", neighbourAdvert: "nd-neighbor-advert", redirect: "nd-redirect",
		},
		"igmp type":     {igmpQuery: "membership-query"},
		"arp operation": {1: "request"},
		"ip6 nexthdr":   {unix.IPPROTO_ICMPV6: "ipv6-icmp"},
	}
	if name := names[field][data[len(data)-1]]; name != "" {
		return name
	}
	addr, isAddr := netip.AddrFromSlice(data)
	switch {
	case !isAddr:
		return number(data)
	case mask == nil:
		return addr.String()
	}
	return netip.PrefixFrom(addr, ones(mask)).String()
}

// number returns a number in network byte order.
func number(data []byte) string {
	var n uint64
	for _, b := range data {
		n = n<<8 | uint64(b)
	}
	return strconv.FormatUint(n, 10)
}

// ones returns the length of a prefix mask.
func ones(mask []byte) int {
	bits := 0
	for _, b := range mask {
		for ; b&0x80 != 0; b <<= 1 {
			bits++
		}
	}
	return bits
}

// intervalText returns the addresses from first to last as nft(8) lists them: one, a prefix, or both ends.
func intervalText(first, last netip.Addr) string {
	if first == last {
		return first.String()
	}
	for bits := range first.BitLen() {
		if p := netip.PrefixFrom(first, bits); p.Masked() == p && lastOf(p) == last {
			return p.String()
		}
	}
	return first.String() + "-" + last.String()
}
