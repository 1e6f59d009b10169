package firewall

import (
	"encoding/binary"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// step is an expression as it is written: its name and its encoded attributes.
type step struct {
	name string
	data []byte
}

func xtMatch(name string, revision uint32, info []byte) step {
	return step{"match", encoded(
		attribute(unix.NFTA_MATCH_NAME, cstring(name)), attribute(unix.NFTA_MATCH_REV, be32(revision)), attribute(unix.NFTA_MATCH_INFO, info),
	)}
}

func meta(key uint32) step {
	return step{"meta", encoded(attribute(unix.NFTA_META_KEY, be32(key)), attribute(unix.NFTA_META_DREG, be32(unix.NFT_REG_1)))}
}

// compared is whether register 1 begins with some bytes, or does not.
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

func fromHeader(offset, length int) step {
	return step{"payload", encoded(
		attribute(unix.NFTA_PAYLOAD_DREG, be32(unix.NFT_REG_1)), attribute(unix.NFTA_PAYLOAD_BASE, be32(unix.NFT_PAYLOAD_NETWORK_HEADER)),
		attribute(unix.NFTA_PAYLOAD_OFFSET, be32(uint32(offset))), attribute(unix.NFTA_PAYLOAD_LEN, be32(uint32(length))),
	)}
}

func masked(mask []byte) step {
	return step{"bitwise", encoded(
		attribute(unix.NFTA_BITWISE_SREG, be32(unix.NFT_REG_1)), attribute(unix.NFTA_BITWISE_DREG, be32(unix.NFT_REG_1)),
		nest(unix.NFTA_BITWISE_MASK, attribute(unix.NFTA_DATA_VALUE, mask)),
		nest(unix.NFTA_BITWISE_XOR, attribute(unix.NFTA_DATA_VALUE, make([]byte, len(mask)))),
	)}
}

// decided is an immediate verdict.
func decided(v verdict) step {
	codes := map[kind]int32{accept: 1, queue: 3, leave: unix.NFT_RETURN, jump: unix.NFT_JUMP, leap: unix.NFT_GOTO}
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

// encoded are attributes one behind the other. They are short, so that the encoder has nothing to
// refuse: it refuses lengths over 65535.
func encoded(all ...netlink.Attribute) []byte {
	data, _ := netlink.MarshalAttributes(all)
	return data
}

func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
