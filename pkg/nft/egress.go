package nft

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Egress restricts the destinations of the connections that an attachment opens. The
// entry needs a SpoofCheck with Full: the rules recognise an attachment by its source
// addresses.
type Egress struct {
	Sources []netip.Addr   // the attachment's addresses, beside the link-local address of its MAC
	OnLink  []netip.Prefix // subnets and gateways of the network: destinations of neighbour discovery and DHCP
	Allow   []netip.Prefix // allowed destinations
	DNS     []netip.Addr   // allowed as destinations of UDP and TCP, port 53
	DHCP    bool           // DHCP requests are allowed, on the link
}

// The maps egress4 and egress6 have the chain of the network for each source address
// on a bridge. They are looked up for packets that the host receives or forwards. The
// map egress_ports has it for each bridge port, for frames to other ports of the
// bridge, which no rule of family inet sees.
const (
	egressChain = "egress"
	egressPorts = "egress_ports"
)

// Ports of DNS and of a DHCP client (RFC 2131).
const (
	dnsPort    = 53
	dhcpClient = 68
)

// egress returns the name of the network's chain for the connections that its
// attachments open. Both tables have a chain of this name.
func (e Entry) egress() string {
	return e.named(egressChain+"_", e.Egress.onLink(ipv4), e.Egress.onLink(ipv6), e.Egress.Allow, e.Egress.DNS, e.Egress.DHCP)
}

// onLink returns the destinations of a family that neighbour discovery or DHCP needs.
func (e *Egress) onLink(f ipFamily) []netip.Prefix {
	return disjoint(f, append(slices.Clone(e.OnLink),
		netip.MustParsePrefix("255.255.255.255/32"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff02::/16")))
}

// egressElements returns the elements of the entry for its source addresses and its
// bridge port. The host drops packets from and to link-local addresses unless they
// are for the host itself, so that address is for chain input.
func (e Entry) egressElements() []element {
	if e.Egress == nil {
		return nil
	}
	port, chain := ifnameBytes(e.HostInterface), e.egress()
	all := []element{{set: egressPorts, key: port, chain: chain}}
	sources := slices.Clone(e.Egress.Sources)
	if e.SpoofCheck != nil {
		sources = append(sources, linkLocal(e.SpoofCheck.MAC))
	}
	for _, addr := range sources {
		all = append(all, element{set: egressChain + familyOf(addr).String(), key: ifnameBytes(e.Bridge) + addrBytes(addr), chain: chain})
	}
	return all
}

// egressOfHost returns the rules for what the host receives and forwards.
// Packets in the direction of replies belong to connections that another host opened.
// All others are compared with the list, also those of existing connections: a flow
// that an earlier owner of the address opened is of no use to the attachment.
func egressOfHost() []ruleSpec {
	rules := []ruleSpec{newRule(isReply(), verdict(expr.VerdictReturn)).comment("answers")}
	for _, f := range families() {
		rules = append(rules, newRule(byBridgeAndSource(f, egressChain+f.String())).comment("what containers may open"))
	}
	return rules
}

// isReply is `ct direction reply`.
//
//	[ ct load direction => reg 1 ]
//	[ cmp eq reg 1 0x00000001 ]
func isReply() []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeyDIRECTION, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{1}}, // IP_CT_DIR_REPLY
	}
}

// answersOnly returns the rules for packets to a bridge whose ingressPolicy is
// "published".
func answersOnly() []ruleSpec {
	return []ruleSpec{
		newRule(ctBit(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept)).comment("answers"),
		newRule(verdict(expr.VerdictDrop)).comment("to a port that is not published"),
	}
}

// destinations is a set of destinations of one family, and what a packet to them must
// be.
type destinations struct {
	family ipFamily
	to     []netip.Prefix // sorted, none within another
	more   []expr.Any     // further conditions
}

// egressDestinations returns the destinations that the rules of the network's chain
// allow.
func (e Entry) egressDestinations() []destinations {
	var all []destinations
	for _, f := range families() {
		if allow := disjoint(f, e.Egress.Allow); len(allow) > 0 {
			all = append(all, destinations{family: f, to: allow})
		}
	}
	var servers []netip.Prefix
	for _, addr := range e.Egress.DNS {
		servers = append(servers, netip.PrefixFrom(addr, addr.BitLen()))
	}
	for _, f := range families() {
		to := disjoint(f, servers)
		if len(to) == 0 {
			continue
		}
		for _, proto := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
			all = append(all, destinations{f, to, slices.Concat(isTransport(proto), isPort(2, dnsPort))})
		}
	}
	return append(all, e.Egress.linkDestinations()...)
}

// linkDestinations returns the destinations within the link of what a host must send
// to have a link and an address. The limits keep a container from using these messages
// to reach others: neighbour discovery has the hop limit 255 (RFC 4861 section 7.1),
// which a routed packet does not have in chain forward, and the destinations are those
// of the link. An advertisement of an address that is not the container's is dropped
// by the spoof check.
func (e *Egress) linkDestinations() []destinations {
	var all []destinations
	for _, kind := range []byte{neighbourAsk, neighbourAdvert, routerSolicit} {
		all = append(all, destinations{ipv6, e.onLink(ipv6), slices.Concat(isAt(expr.PayloadBaseNetworkHeader, hopLimit, []byte{255}), isICMP6(kind))})
	}
	if e.DHCP {
		ports := []byte{0, dhcpClient, 0, dhcpServer}
		all = append(all, destinations{ipv4, e.onLink(ipv4), slices.Concat(isUDP(), isAt(expr.PayloadBaseTransportHeader, 0, ports))})
	}
	return all
}

// hopLimit is the offset of the hop limit in the IPv6 header.
const hopLimit = 7

// disjoint returns the prefixes of one family, sorted, without those that another one
// contains. Sorted, a prefix is followed by all that it contains.
func disjoint(f ipFamily, all []netip.Prefix) []netip.Prefix {
	var of, kept []netip.Prefix
	for _, p := range all {
		if familyOf(p.Addr()) == f {
			of = append(of, p.Masked())
		}
	}
	slices.SortFunc(of, comparePrefixes)
	for _, p := range of {
		if n := len(kept); n == 0 || !kept[n-1].Contains(p.Addr()) {
			kept = append(kept, p)
		}
	}
	return kept
}

// egressEnd returns the rules of the network's chain after those for destinations.
func egressEnd(family tableFamily) []ruleSpec {
	var rules []ruleSpec
	if family == familyBridge {
		rules = append(rules, newRule(isProtocol(unix.ETH_P_ARP), verdict(expr.VerdictReturn)))
	}
	return append(rules, newRule(verdict(expr.VerdictDrop)).comment("not in egress.allow"))
}

// egressRules returns the number of rules of the network's chain in the table of a
// family.
func (e Entry) egressRules(family tableFamily) int {
	return len(e.egressDestinations()) + len(egressEnd(family))
}

// egressMessages returns the number of messages that add the chains, with the
// elements of anonymous sets counted as messages of their length.
func (e Entry) egressMessages() int {
	const elementsInMessage = 8
	return 2*(e.egressRules(familyBridge)+2) + 4*(len(e.Egress.Allow)+2*len(e.Egress.DNS))/elementsInMessage
}

// egressChains adds the chain of the entry's network to both tables, if it needs one.
func egressChains(c builder, e Entry) error {
	if e.Egress == nil {
		return nil
	}
	return errors.Join(addEgressChain(c, table(), e), addEgressChain(c, bridgeTable(), e))
}

// addEgressChain adds the network's chain to a table, or replaces its rules.
// The destinations are anonymous sets: they belong to their rule, so that the chain
// has no other objects which could be missing, edited or left over.
func addEgressChain(c builder, t *nftables.Table, e Entry) error {
	chain := c.AddChain(&nftables.Chain{Table: t, Name: e.egress()})
	c.FlushChain(chain)
	for _, d := range e.egressDestinations() {
		is, err := isOneOf(c, t, d)
		if err != nil {
			return fmt.Errorf("encode the destinations of network %s: %w", e.Network, err)
		}
		addRule(c, chain, newRule(is, d.more, verdict(expr.VerdictReturn)))
	}
	for _, r := range egressEnd(tableFamily(t.Family)) {
		addRule(c, chain, r)
	}
	return nil
}

// isOneOf is `ip daddr <prefix>`, or `ip daddr { <prefix>, <prefix> }` with an
// anonymous set, which it adds. Like nft(8) it uses a set of intervals only if one of
// the prefixes is longer than an address.
//
//	[ payload load 4b @ network header + 16 => reg 1 ]
//	[ lookup reg 1 set __set0 0x0 ]
func isOneOf(c builder, t *nftables.Table, d destinations) ([]expr.Any, error) {
	is := isFamily(d.family)
	if t.Family == nftables.TableFamilyBridge {
		is = isProtocol(map[ipFamily]uint16{ipv4: unix.ETH_P_IP, ipv6: unix.ETH_P_IPV6}[d.family])
	}
	if len(d.to) == 1 {
		return append(is, compareAddress(d.to[0], false)...), nil
	}
	set := &nftables.Set{Table: t, Anonymous: true, Constant: true, KeyType: d.family.field().datatype()}
	set.Interval = slices.ContainsFunc(d.to, func(p netip.Prefix) bool { return !p.IsSingleIP() })
	if err := c.AddSet(set, setElements(d.to, set.Interval)); err != nil {
		return nil, err
	}
	return append(is, address(d.family, false, unix.NFT_REG_1),
		&expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: set.Name, SetID: set.ID}), nil
}

// setElements returns the elements of an anonymous set of sorted, disjoint prefixes. Of
// an interval the kernel takes the first address and, with a flag, the address behind
// the last one; an interval that ends with the last address of the family has no end.
// Adjacent intervals become one, as nft(8) does it: a lookup of the address with which
// one ends and the next one begins finds the end alone on Linux 6.12, but not on 6.18.
func setElements(prefixes []netip.Prefix, intervals bool) []nftables.SetElement {
	var all []nftables.SetElement
	for _, p := range prefixes {
		begin, next := p.Addr().AsSlice(), lastOf(p).Next()
		if n := len(all); n > 0 && all[n-1].IntervalEnd && bytes.Equal(all[n-1].Key, begin) {
			all = all[:n-1]
		} else {
			all = append(all, nftables.SetElement{Key: begin})
		}
		if intervals && next.IsValid() {
			all = append(all, nftables.SetElement{Key: next.AsSlice(), IntervalEnd: true})
		}
	}
	return all
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	last := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(last)
	return addr
}
