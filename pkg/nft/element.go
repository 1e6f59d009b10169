package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// element is one of a verdict map whose key is a bridge and an address: jump to a chain.
type element struct {
	set     string // masq4, masq6, invalid4, invalid6
	bridge  string
	address netip.Addr
	chain   string
	comment string
}

// key is the bridge's name in 16 bytes and the address: what the rules put into two registers.
func (e element) key() []byte {
	var name [unix.IFNAMSIZ]byte
	copy(name[:], e.bridge)
	return append(name[:], e.address.AsSlice()...)
}

// message is the body of a message about elements of one map. The library's (SetAddElements) cannot
// be exclusive, which is what keeps one attachment from taking another's place without a word.
func (e element) message(whole bool) ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	ae.String(unix.NFTA_SET_ELEM_LIST_TABLE, tableName)
	ae.String(unix.NFTA_SET_ELEM_LIST_SET, e.set)
	ae.Nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, func(list *netlink.AttributeEncoder) error {
		list.Nested(unix.NFTA_LIST_ELEM, func(one *netlink.AttributeEncoder) error {
			e.encode(one, whole)
			return nil
		})
		return nil
	})
	body, err := ae.Encode()
	return append(header(), body...), err
}

// encode writes key, and if whole verdict and comment.
func (e element) encode(ae *netlink.AttributeEncoder, whole bool) {
	ae.Nested(unix.NFTA_SET_ELEM_KEY, func(key *netlink.AttributeEncoder) error {
		key.Bytes(unix.NFTA_DATA_VALUE, e.key())
		return nil
	})
	if !whole {
		return
	}
	ae.Nested(unix.NFTA_SET_ELEM_DATA, func(data *netlink.AttributeEncoder) error {
		data.Nested(unix.NFTA_DATA_VERDICT, func(verdict *netlink.AttributeEncoder) error {
			verdict.Int32(unix.NFTA_VERDICT_CODE, unix.NFT_JUMP)
			verdict.String(unix.NFTA_VERDICT_CHAIN, e.chain)
			return nil
		})
		return nil
	})
	ae.Bytes(unix.NFTA_SET_ELEM_USERDATA, userdata.AppendString(nil, userdata.NFTNL_UDATA_SET_ELEM_COMMENT, e.comment))
}

// header is struct nfgenmsg (linux/netfilter/nfnetlink.h): family, version 0, no resource.
func header() []byte { return []byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0} }

// elementsOf reads the answers to a question about a map.
func elementsOf(set string, answers []netlink.Message) ([]element, error) {
	var all []element
	for _, answer := range answers {
		found, err := decodeElements(answer.Data)
		if err != nil {
			return nil, fmt.Errorf("read map %s of nftables: %w", set, err)
		}
		for _, e := range found {
			e.set = set
			all = append(all, e)
		}
	}
	return all, nil
}

// decodeElements reads what the kernel tells of a map's elements.
func decodeElements(body []byte) ([]element, error) {
	var all []element
	err := eachAttribute(body[min(len(body), len(header())):], func(ad *netlink.AttributeDecoder) {
		if ad.Type() != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			return
		}
		ad.Nested(func(list *netlink.AttributeDecoder) error {
			for list.Next() {
				e := element{}
				list.Nested(e.decode)
				all = append(all, e)
			}
			return list.Err()
		})
	})
	return all, err
}

func eachAttribute(data []byte, see func(*netlink.AttributeDecoder)) error {
	ad, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return err
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		see(ad)
	}
	return ad.Err()
}

func (e *element) decode(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_SET_ELEM_KEY:
			ad.Nested(e.decodeKey)
		case unix.NFTA_SET_ELEM_DATA:
			ad.Nested(e.decodeVerdict)
		case unix.NFTA_SET_ELEM_USERDATA:
			e.comment = commentOf(ad.Bytes())
		}
	}
	return ad.Err()
}

// commentOf finds the comment in an element's user data: type, length and value, one behind the
// other. The kernel keeps what it was given, by whomever, and so the lengths may be wrong; the
// library's reading (userdata.GetString) trusts them.
func commentOf(data []byte) string {
	for len(data) >= 2 && len(data)-2 >= int(data[1]) {
		value := data[2 : 2+int(data[1])]
		if data[0] == byte(userdata.NFTNL_UDATA_SET_ELEM_COMMENT) {
			return strings.TrimSuffix(string(value), "\x00")
		}
		data = data[2+len(value):]
	}
	return ""
}

func (e *element) decodeKey(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		key := ad.Bytes()
		if ad.Type() != unix.NFTA_DATA_VALUE || len(key) < unix.IFNAMSIZ {
			continue
		}
		e.bridge = strings.TrimRight(string(key[:unix.IFNAMSIZ]), "\x00")
		e.address, _ = netip.AddrFromSlice(key[unix.IFNAMSIZ:])
	}
	return ad.Err()
}

func (e *element) decodeVerdict(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		if ad.Type() != unix.NFTA_DATA_VERDICT {
			continue
		}
		ad.Nested(func(verdict *netlink.AttributeDecoder) error {
			for verdict.Next() {
				if verdict.Type() == unix.NFTA_VERDICT_CHAIN {
					e.chain = verdict.String()
				}
			}
			return verdict.Err()
		})
	}
	return ad.Err()
}
