package nft

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// SpoofCheck describes the frames that an attachment may send into its bridge.
type SpoofCheck struct {
	MAC       net.HardwareAddr // the only source address of its frames
	Full      bool             // check IPv4, IPv6, ARP and neighbour discovery too, drop all else
	Addresses []netip.Addr     // the only source addresses of its packets, beside the link-local address of MAC
}

// The map checked has a chain for each checked bridge port; the sets contain what
// each port may send. They are in table bridge patchbay, at priority -300: before the
// bridge learns the source MAC, and before br_netfilter.
const (
	checkedPorts = "checked"
	checkMAC     = "check_mac"
	checkAll     = "check_addresses"
	ownMAC       = "own_mac"
	own4         = "own4"
	own6         = "own6"
	ownTarget6   = "own6_target" // the elements of own6, with a key type for raw header bytes
)

// elements returns the elements of a bridge port.
func (s *SpoofCheck) elements(port string) []element {
	name := ifnameBytes(port)
	first := element{set: checkedPorts, key: name, chain: checkMAC}
	mac := element{set: ownMAC, key: name + macBytes(s.MAC)}
	if !s.Full {
		return []element{first, mac}
	}
	first.chain = checkAll
	all := []element{first, mac}
	for _, addr := range s.Addresses {
		if addr.Is4() {
			all = append(all, element{set: own4, key: name + addrBytes(addr)})
			continue
		}
		all = append(all, element{set: own6, key: name + addrBytes(addr)}, element{set: ownTarget6, key: name + addrBytes(addr)})
	}
	local := addrBytes(linkLocal(s.MAC))
	return append(all, element{set: own6, key: name + local}, element{set: ownTarget6, key: name + local})
}

// linkLocal returns the address that Linux gives an interface unless addr_gen_mode
// says otherwise: fe80::/64 with the modified EUI-64 of the MAC (RFC 4291 appendix
// A).
// Packets from a link-local address of another addr_gen_mode (2 is stable-privacy, 3
// random) are dropped by a full check.
func linkLocal(mac net.HardwareAddr) netip.Addr {
	addr := [16]byte{0: 0xfe, 1: 0x80, 11: 0xff, 12: 0xfe}
	if len(mac) == 6 {
		copy(addr[8:], mac[:3])
		copy(addr[13:], mac[3:])
	}
	addr[8] ^= 0x02
	return netip.AddrFrom16(addr)
}

// spoofChains returns the chains of the spoof check; a chain that others jump to
// comes before them.
func spoofChains() []chainSpec {
	own := newRule(iifname(), etherSource(), lookupNot(ownMAC), verdict(expr.VerdictDrop)).comment("not the MAC of the container")
	return []chainSpec{
		{Chain: nftables.Chain{Name: "check_arp"}, rules: arpChecks()},
		{Chain: nftables.Chain{Name: "check_ipv4"}, rules: ipv4Checks()},
		{Chain: nftables.Chain{Name: "check_ipv6"}, rules: ipv6Checks()},
		{Chain: nftables.Chain{Name: checkMAC}, rules: []ruleSpec{own}},
		{Chain: nftables.Chain{Name: checkAll}, rules: []ruleSpec{
			own,
			newRule(isEtherType(unix.ETH_P_IP), gotoChain("check_ipv4")),
			newRule(isEtherType(unix.ETH_P_IPV6), gotoChain("check_ipv6")),
			newRule(isEtherType(unix.ETH_P_ARP), gotoChain("check_arp")),
			newRule(verdict(expr.VerdictDrop)).comment("neither IPv4, IPv6 nor ARP, or with a VLAN tag"),
		}},
		{Chain: base("prerouting", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRef(-300)), rules: []ruleSpec{
			newRule(iifname(), lookupVerdict(checkedPorts)).comment("what containers may send"),
		}},
	}
}

// arpChecks returns the rules for ARP. They check the sender's addresses, which other
// hosts cache. An address probe has no sender address (RFC 5227).
//
//	[ payload load 2b @ link header + 12 => reg 1 ]
//	[ cmp eq reg 1 0x00000608 ]
//	[ meta load iifname => reg 1 ]
//	[ payload load 6b @ network header + 8 => reg 2 ]
//	[ lookup reg 1 set own_mac 0x1 ]
//	[ immediate reg 0 drop ]
//
// The addresses are read at offsets of the ARP header: nft(8) has `arp saddr ip` for
// the same bytes. The sender's MAC is checked in addition to that of the frame,
// because hosts cache the one in the ARP header.
func arpChecks() []ruleSpec {
	return []ruleSpec{
		newRule(isEtherType(unix.ETH_P_ARP), iifname(), network(8, 6), lookupNot(ownMAC), verdict(expr.VerdictDrop)).comment("not the MAC of the container"),
		newRule(isEtherType(unix.ETH_P_ARP), iifname(), network(arpSender, 4), lookup(own4), verdict(expr.VerdictAccept)),
		newRule(isEtherType(unix.ETH_P_ARP), isAt(expr.PayloadBaseNetworkHeader, 6, []byte{0, 1}),
			isAt(expr.PayloadBaseNetworkHeader, arpSender, make([]byte, 4)), verdict(expr.VerdictAccept)).comment("address probe"),
		newRule(verdict(expr.VerdictDrop)).comment("not an address of the container"),
	}
}

// arpSender is the offset of the sender's IPv4 address in an ARP packet for Ethernet.
const arpSender = 14

const (
	dhcpServer  = 67
	dhcp6Server = 547
)

// ipv4Checks returns the rules for IPv4. A DHCP server or a multicast querier in a
// container would affect all hosts of the LAN.
func ipv4Checks() []ruleSpec {
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return []ruleSpec{
		newRule(isUDP(), isPort(0, dhcpServer), verdict(expr.VerdictDrop)).comment("DHCP server"),
		newRule(isEtherType(unix.ETH_P_IP), isTransport(unix.IPPROTO_IGMP), isAt(expr.PayloadBaseTransportHeader, 0, []byte{igmpQuery}), verdict(expr.VerdictDrop)).comment("multicast querier"),
		newRule(isProtocol(unix.ETH_P_IP), iifname(), address4(true), lookup(own4), verdict(expr.VerdictAccept)),
		newRule(isProtocol(unix.ETH_P_IP), isAt(expr.PayloadBaseNetworkHeader, 12, make([]byte, 4)), isAt(expr.PayloadBaseNetworkHeader, 16, broadcast.AsSlice()),
			isUDP(), isPort(2, dhcpServer), verdict(expr.VerdictAccept)).comment("DHCP client"),
		newRule(verdict(expr.VerdictDrop)).comment("not an address of the container"),
	}
}

// igmpQuery is the type of the query of a multicast querier (RFC 2236). A bridge with
// multicast snooping forwards groups to the port of the querier.
const igmpQuery = 0x11

// Types of ICMPv6 messages (RFC 4861, 2710, 3810).
const (
	mldQuery        = 130
	mldReport       = 131
	routerSolicit   = 133
	routerAdvert    = 134
	neighbourAsk    = 135
	neighbourAdvert = 136
	redirect        = 137
	mld2Report      = 143
)

// ipv6Checks returns the rules for IPv6. The target of a neighbour advertisement,
// which other hosts cache, is read at its offset behind the fixed IPv6 header: one
// with an extension header in between, which no such message needs, is dropped. From
// the unspecified address a container may send duplicate address detection of its own
// addresses, and what precedes every address.
func ipv6Checks() []ruleSpec {
	drop, accept := verdict(expr.VerdictDrop), verdict(expr.VerdictAccept)
	nextHeader := load(expr.PayloadBaseNetworkHeader, 6, 1)
	direct := &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{unix.IPPROTO_ICMPV6}}
	notDirect := &expr.Cmp{Op: expr.CmpOpNeq, Register: unix.NFT_REG_1, Data: direct.Data}
	unspecified := isAt(expr.PayloadBaseNetworkHeader, 8, make([]byte, 16))
	from := func(kind byte, more ...[]expr.Any) ruleSpec {
		parts := append([][]expr.Any{isProtocol(unix.ETH_P_IPV6), unspecified, isICMP6(kind)}, more...)
		return newRule(append(parts, accept)...)
	}
	ether := isEtherType(unix.ETH_P_IPV6)
	return []ruleSpec{
		newRule(ether, isICMP6(routerAdvert), drop).comment("router advertisement"),
		newRule(ether, isICMP6(redirect), drop).comment("router redirect"),
		newRule(ether, isICMP6(mldQuery), drop).comment("multicast querier"),
		newRule(isUDP(), isPort(0, dhcp6Server), drop).comment("DHCPv6 server"),
		newRule(ether, isICMP6(neighbourAdvert), []expr.Any{nextHeader, notDirect}, drop).comment("target behind an extension header"),
		newRule(ether, isICMP6(neighbourAdvert), iifname(), network(ndTarget, 16), lookupNot(ownTarget6), drop).comment("not an address of the container"),
		newRule(isProtocol(unix.ETH_P_IPV6), iifname(), network(8, 16), lookup(own6), accept),
		from(neighbourAsk, []expr.Any{nextHeader, direct}, iifname(), network(ndTarget, 16), lookup(ownTarget6)).comment("duplicate address detection"),
		from(routerSolicit),
		from(mld2Report),
		from(mldReport),
		newRule(drop).comment("not an address of the container"),
	}
}

// ndTarget is the offset of the target in a message of neighbour discovery, behind
// the IPv6 header and the first eight bytes of ICMPv6.
const ndTarget = 40 + 8

// iifname loads the input interface. A key starts with it, in registers 8 to 11; the
// rest of the key follows.
func iifname() []expr.Any { return []expr.Any{ifnameTo(expr.MetaKeyIIFNAME, unix.NFT_REG_1)} }

// etherSource loads the source MAC as the second part of a key.
func etherSource() []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: unix.NFT_REG_2, Base: expr.PayloadBaseLLHeader, Offset: 6, Len: 6}}
}

// network loads the second part of a key from the network header.
func network(offset, length uint32) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: unix.NFT_REG_2, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length}}
}

// address4 loads an IPv4 address as the second part of a key.
func address4(source bool) []expr.Any { return []expr.Any{address(ipv4, source, unix.NFT_REG_2)} }

// lookupNot is `!= @set`.
func lookupNot(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: set, Invert: true}}
}

// load loads bytes of a header into register 1.
func load(from expr.PayloadBase, offset, length uint32) expr.Any {
	return &expr.Payload{DestRegister: unix.NFT_REG_1, Base: from, Offset: offset, Len: length}
}

// isAt compares bytes of a header.
func isAt(from expr.PayloadBase, offset uint32, data []byte) []expr.Any {
	return []expr.Any{load(from, offset, uint32(len(data))), &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: data}}
}

// isEtherType is `ether type`, the type on the wire: of a frame with a VLAN tag that
// of the tag.
// The kernel puts an offloaded tag back for a load from the
// link layer header (nft_payload_copy_vlan).
func isEtherType(kind uint16) []expr.Any {
	return isAt(expr.PayloadBaseLLHeader, 12, binary.BigEndian.AppendUint16(nil, kind))
}

// isProtocol is `meta protocol`, the type behind VLAN tags.
func isProtocol(kind uint16) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: binary.BigEndian.AppendUint16(nil, kind)},
	}
}

// isTransport is `meta l4proto`.
func isTransport(proto byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{proto}},
	}
}

// isUDP is `meta l4proto udp`.
func isUDP() []expr.Any { return isTransport(unix.IPPROTO_UDP) }

// isPort compares the source port, at offset 0 of the transport header, or the
// destination port, at offset 2.
func isPort(offset uint32, port uint16) []expr.Any {
	return isAt(expr.PayloadBaseTransportHeader, offset, binaryutil.BigEndian.PutUint16(port))
}

// isICMP6 is `icmpv6 type`.
func isICMP6(kind byte) []expr.Any {
	return append(isTransport(unix.IPPROTO_ICMPV6), isAt(expr.PayloadBaseTransportHeader, 0, []byte{kind})...)
}

// macBytes encodes a MAC, padded to two registers.
func macBytes(mac net.HardwareAddr) string { return string(append(append([]byte(nil), mac...), 0, 0)) }

// typeofTarget encodes for nft(8) the type of own6_target's key, `typeof iifname .
// @nh,384,128`, with the numbers of libnftables. nft(8) has no named type for raw
// bytes of a header.
func typeofTarget() []byte {
	const exprPayload, exprMeta, exprConcat = 7, 9, 13 // enum expr_types
	const netHeader, bits = 2, 8
	word := func(data []byte, kind userdata.Type, n uint32) []byte {
		return userdata.Append(data, kind, binaryutil.NativeEndian.PutUint32(n))
	}
	expression := func(kind uint32, data []byte) []byte { return userdata.Append(word(nil, 0, kind), 1, data) }
	name := expression(exprMeta, word(nil, 0, uint32(expr.MetaKeyIIFNAME)))
	var raw []byte
	for kind, n := range []uint32{0, 0, netHeader, bits * ndTarget, bits * 16} { // protocol and field: none with a name
		raw = word(raw, userdata.Type(kind), n)
	}
	both := userdata.Append(userdata.Append(nil, 0, name), 1, expression(exprPayload, raw))
	return userdata.Append(word(nil, userdata.NFTNL_UDATA_SET_KEYBYTEORDER, 0), userdata.NFTNL_UDATA_SET_KEY_TYPEOF, expression(exprConcat, both))
}
