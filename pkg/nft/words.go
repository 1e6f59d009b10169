package nft

import (
	"net"
	"net/netip"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The words that rules are made of, each as nft(8) would encode it. A key is put together in
// registers of four bytes, 8 and those behind it; 1 to 4 are the same in pieces of sixteen.

func loopback4() netip.Prefix { return netip.MustParsePrefix("127.0.0.0/8") }
func loopback6() netip.Prefix { return netip.MustParsePrefix("::1/128") }

func verdict(kind expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: kind}} }

func jump(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}
}

func gotoChain(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}}
}

func masquerade() []expr.Any { return []expr.Any{&expr.Masq{}} }

// isFamily is `meta nfproto ipv4`, which nft(8) writes before every look at an address.
func isFamily(is4 bool) []expr.Any {
	proto := byte(unix.NFPROTO_IPV6)
	if is4 {
		proto = unix.NFPROTO_IPV4
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{proto}},
	}
}

// address loads the source's or the destination's.
func address(is4, source bool, register uint32) *expr.Payload {
	p := &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}
	switch {
	case is4 && source:
		p.Offset = 12
	case !is4 && source:
		p.Offset, p.Len = 8, 16
	case !is4:
		p.Offset, p.Len = 24, 16
	}
	return p
}

// isTo is `ip daddr <prefix>`, isFrom is `ip saddr <prefix>`.
func isTo(p netip.Prefix) []expr.Any   { return isWithin(p, false) }
func isFrom(p netip.Prefix) []expr.Any { return isWithin(p, true) }

func isWithin(p netip.Prefix, source bool) []expr.Any {
	load := address(p.Addr().Is4(), source, unix.NFT_REG_1)
	is := append(isFamily(p.Addr().Is4()), load)
	if !p.IsSingleIP() {
		is = append(is, &expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: load.Len,
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()), Xor: make([]byte, load.Len),
		})
	}
	return append(is, &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: p.Masked().Addr().AsSlice()})
}

// isToTheHost is `fib daddr type local`.
func isToTheHost() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: unix.NFT_REG_1, ResultADDRTYPE: true, FlagDADDR: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

// ctBit is `ct state invalid` and the like.
func ctBit(of expr.CtKey, bit uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: of, Register: unix.NFT_REG_1},
		&expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bit), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: unix.NFT_REG_1, Data: make([]byte, 4)},
	}
}

func isInvalid() []expr.Any { return ctBit(expr.CtKeySTATE, expr.CtStateBitINVALID) }

// ipsDstNAT is IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h.
const ipsDstNAT = 1 << 5

// isDNATed is `ct status dnat`: of every packet of a connection whose destination was translated.
func isDNATed() []expr.Any { return ctBit(expr.CtKeySTATUS, ipsDstNAT) }

// hasMark is `meta mark & bit == bit`.
func hasMark(bit uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
		&expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bit), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: binaryutil.NativeEndian.PutUint32(bit)},
	}
}

// setMark is `meta mark set meta mark & mask ^ xor`.
func setMark(mask, xor uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
		&expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(mask), Xor: binaryutil.NativeEndian.PutUint32(xor),
		},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1, SourceRegister: true},
	}
}

func ifnameTo(key expr.MetaKey, register uint32) expr.Any {
	return &expr.Meta{Key: key, Register: register}
}

func iifnameIn(set string) []expr.Any {
	return append([]expr.Any{ifnameTo(expr.MetaKeyIIFNAME, unix.NFT_REG_1)}, lookup(set)...)
}

func oifnameIn(set string) []expr.Any {
	return append([]expr.Any{ifnameTo(expr.MetaKeyOIFNAME, unix.NFT_REG_1)}, lookup(set)...)
}

// bothIfnames is the key `iifname . oifname`.
func bothIfnames() []expr.Any {
	return []expr.Any{ifnameTo(expr.MetaKeyIIFNAME, unix.NFT_REG_1), ifnameTo(expr.MetaKeyOIFNAME, unix.NFT_REG_2)}
}

// oifnameAndDestination is the key `oifname . ip daddr`.
func oifnameAndDestination(is4 bool) []expr.Any {
	return append(isFamily(is4), ifnameTo(expr.MetaKeyOIFNAME, unix.NFT_REG_1), address(is4, false, unix.NFT_REG_2))
}

// oifnameAndBoth is the key `oifname . ip saddr . ip daddr`: of a container that is on both ends.
// Where br_netfilter lets a bridged packet through here, it has no bridge to come in by.
func oifnameAndBoth(is4 bool) []expr.Any {
	second := uint32(unix.NFT_REG_3)
	if is4 {
		second = unix.NFT_REG32_05
	}
	return append(isFamily(is4), ifnameTo(expr.MetaKeyOIFNAME, unix.NFT_REG_1), address(is4, true, unix.NFT_REG_2), address(is4, false, second))
}

// byBridgeAndSource is `iifname . ip saddr vmap @set`. In postrouting there is an iifname since Linux 5.7.
func byBridgeAndSource(is4 bool, set string) []expr.Any {
	key := append(isFamily(is4), ifnameTo(expr.MetaKeyIIFNAME, unix.NFT_REG_1), address(is4, true, unix.NFT_REG_2))
	return append(key, lookupVerdict(set)...)
}

// What of a packet's destination is the key of a published port.
const (
	portOnly    = false
	addrAndPort = true
)

// key is `meta l4proto . th dport`, with `ip daddr` before it if that is part of it.
func key(is4, withAddr bool) []expr.Any {
	loads, proto, port := isFamily(is4), uint32(unix.NFT_REG_1), uint32(unix.NFT_REG32_01)
	switch {
	case withAddr && is4:
		proto, port = unix.NFT_REG32_01, unix.NFT_REG32_02
	case withAddr:
		proto, port = unix.NFT_REG_2, unix.NFT_REG32_05
	}
	if withAddr {
		loads = append(loads, address(is4, false, unix.NFT_REG_1))
	}
	return append(loads,
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: proto},
		&expr.Payload{DestRegister: port, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	)
}

func lookup(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: set}}
}

func lookupVerdict(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: set}}
}

func lookupTarget(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, IsDestRegSet: true, SetName: set}}
}

// dnat is `dnat ip to` the address and port that a lookup has put into registers.
func dnat(is4 bool) []expr.Any {
	n := &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: unix.NFT_REG_1, RegProtoMin: unix.NFT_REG32_01}
	if !is4 {
		n.Family, n.RegProtoMin = unix.NFPROTO_IPV6, unix.NFT_REG32_04
	}
	return []expr.Any{n}
}
