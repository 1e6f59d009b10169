package firewall

import (
	"encoding/binary"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// step is an encoded expression.
type step struct {
	name string
	data []byte
}

// xtMatch returns a match of iptables.
func xtMatch(name string, revision uint32, info []byte) step {
	return step{"match", encoded(
		attribute(unix.NFTA_MATCH_NAME, cstring(name)), attribute(unix.NFTA_MATCH_REV, be32(revision)), attribute(unix.NFTA_MATCH_INFO, info),
	)}
}

// meta loads a property of the packet into register 1.
func meta(key uint32) step {
	return step{"meta", encoded(attribute(unix.NFTA_META_KEY, be32(key)), attribute(unix.NFTA_META_DREG, be32(unix.NFT_REG_1)))}
}

// compared compares the start of register 1 with bytes.
func compared(data []byte, isNot bool) step {
	op := uint32(unix.NFT_CMP_EQ)
	if isNot {
		op = unix.NFT_CMP_NEQ
	}
	return step{"cmp", encoded(
		attribute(unix.NFTA_CMP_SREG, be32(unix.NFT_REG_1)), attribute(unix.NFTA_CMP_OP, be32(op)),
		nest(unix.NFTA_CMP_DATA, attribute(unix.NFTA_DATA_VALUE, data)),
	)}
}

// fromHeader loads bytes of the network header into register 1.
func fromHeader(offset, length int) step {
	return step{"payload", encoded(
		attribute(unix.NFTA_PAYLOAD_DREG, be32(unix.NFT_REG_1)), attribute(unix.NFTA_PAYLOAD_BASE, be32(unix.NFT_PAYLOAD_NETWORK_HEADER)),
		attribute(unix.NFTA_PAYLOAD_OFFSET, be32(uint32(offset))), attribute(unix.NFTA_PAYLOAD_LEN, be32(uint32(length))),
	)}
}

// masked applies a mask to register 1.
func masked(mask []byte) step {
	return step{"bitwise", encoded(
		attribute(unix.NFTA_BITWISE_SREG, be32(unix.NFT_REG_1)), attribute(unix.NFTA_BITWISE_DREG, be32(unix.NFT_REG_1)),
		nest(unix.NFTA_BITWISE_MASK, attribute(unix.NFTA_DATA_VALUE, mask)),
		nest(unix.NFTA_BITWISE_XOR, attribute(unix.NFTA_DATA_VALUE, make([]byte, len(mask)))),
	)}
}

// decided is an immediate verdict.
func decided(v verdict) step {
	codes := map[kind]int32{accept: 1, queue: 3, returns: unix.NFT_RETURN, jump: unix.NFT_JUMP, gotoChain: unix.NFT_GOTO}
	about := []netlink.Attribute{attribute(unix.NFTA_VERDICT_CODE, be32(uint32(codes[v.kind])))}
	if v.target != "" {
		about = append(about, attribute(unix.NFTA_VERDICT_CHAIN, cstring(v.target)))
	}
	return step{"immediate", encoded(
		attribute(unix.NFTA_IMMEDIATE_DREG, be32(unix.NFT_REG_VERDICT)), nest(unix.NFTA_IMMEDIATE_DATA, nest(unix.NFTA_DATA_VERDICT, about...)),
	)}
}

func attribute(kind uint16, data []byte) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: data}
}

func nest(kind uint16, inner ...netlink.Attribute) netlink.Attribute {
	return netlink.Attribute{Type: unix.NLA_F_NESTED | kind, Data: encoded(inner...)}
}

// encoded encodes attributes. They are short; the encoder only fails for lengths over
// 65535.
func encoded(all ...netlink.Attribute) []byte {
	data, _ := netlink.MarshalAttributes(all)
	return data
}

func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
