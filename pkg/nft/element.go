package nft

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// element is one of a set or a map. Key and target are the bytes of their fields, as shapes tells.
type element struct {
	set     string
	key     string
	chain   string // that a verdict leads to; "" in a set and in a map of targets
	target  string // address and port; "" in a set and in a map of verdicts
	comment string // whose it is; "" for a bridge's, which all attachments on it share
}

// text is the key as nft(8) prints it.
func (e element) text() string { return shapeOf(e.set).text(e.key) }

// perMessage is how many elements go into one message: a list of more may not fit its length.
const perMessage = 100

// eachMessage are the bodies of messages about elements, of one map each.
func eachMessage(elements []element, whole bool) (bodies [][]byte, err error) {
	for len(elements) > 0 {
		n := 1
		for n < len(elements) && n < perMessage && elements[n].set == elements[0].set {
			n++
		}
		body, err := elementsMessage(elements[:n], whole)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
		elements = elements[n:]
	}
	return bodies, nil
}

// elementsMessage is the body of a message about elements of one map. The library's
// (SetAddElements) cannot be exclusive, which is what keeps one attachment from taking another's
// place without a word.
func elementsMessage(elements []element, whole bool) ([]byte, error) {
	s := shapeOf(elements[0].set)
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	ae.String(unix.NFTA_SET_ELEM_LIST_TABLE, tableName)
	ae.String(unix.NFTA_SET_ELEM_LIST_SET, s.name)
	ae.Nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, func(list *netlink.AttributeEncoder) error {
		for _, e := range elements {
			list.Nested(unix.NFTA_LIST_ELEM, func(one *netlink.AttributeEncoder) error {
				e.encode(one, s.to, whole)
				return nil
			})
		}
		return nil
	})
	body, err := ae.Encode()
	return append(headerOf(s), body...), err
}

// encode writes the key, and if whole what it leads to and the comment.
func (e element) encode(ae *netlink.AttributeEncoder, to int, whole bool) {
	ae.Nested(unix.NFTA_SET_ELEM_KEY, func(key *netlink.AttributeEncoder) error {
		key.Bytes(unix.NFTA_DATA_VALUE, []byte(e.key))
		return nil
	})
	if !whole {
		return
	}
	if to != toNothing {
		ae.Nested(unix.NFTA_SET_ELEM_DATA, func(data *netlink.AttributeEncoder) error {
			e.encodeData(data, to)
			return nil
		})
	}
	if e.comment != "" {
		ae.Bytes(unix.NFTA_SET_ELEM_USERDATA, userdata.AppendString(nil, userdata.NFTNL_UDATA_SET_ELEM_COMMENT, e.comment))
	}
}

func (e element) encodeData(ae *netlink.AttributeEncoder, to int) {
	if to == toTarget {
		ae.Bytes(unix.NFTA_DATA_VALUE, []byte(e.target))
		return
	}
	code := int32(unix.NFT_JUMP)
	if to == toGoto {
		code = unix.NFT_GOTO
	}
	ae.Nested(unix.NFTA_DATA_VERDICT, func(verdict *netlink.AttributeEncoder) error {
		verdict.Int32(unix.NFTA_VERDICT_CODE, code)
		verdict.String(unix.NFTA_VERDICT_CHAIN, e.chain)
		return nil
	})
}

// header is struct nfgenmsg (linux/netfilter/nfnetlink.h): family, version 0, no resource.
func header() []byte { return []byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0} }

// bridgeHeader is header for the table of the bridge family.
func bridgeHeader() []byte { return []byte{unix.NFPROTO_BRIDGE, unix.NFNETLINK_V0, 0, 0} }

// headerOf is header for the table that a set is in.
func headerOf(s shape) []byte {
	if s.bridge {
		return bridgeHeader()
	}
	return header()
}

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
			ad.Nested(decodeValue(&e.key))
		case unix.NFTA_SET_ELEM_DATA:
			ad.Nested(e.decodeData)
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

func decodeValue(value *string) func(*netlink.AttributeDecoder) error {
	return func(ad *netlink.AttributeDecoder) error {
		for ad.Next() {
			if ad.Type() == unix.NFTA_DATA_VALUE {
				*value = string(ad.Bytes())
			}
		}
		return ad.Err()
	}
}

func (e *element) decodeData(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_DATA_VALUE:
			e.target = string(ad.Bytes())
		case unix.NFTA_DATA_VERDICT:
			ad.Nested(func(verdict *netlink.AttributeDecoder) error {
				for verdict.Next() {
					if verdict.Type() == unix.NFTA_VERDICT_CHAIN {
						e.chain = verdict.String()
					}
				}
				return verdict.Err()
			})
		}
	}
	return ad.Err()
}

// bySet puts elements of one set behind each other, so that they go into one message.
func bySet(elements []element) []element {
	slices.SortStableFunc(elements, func(a, b element) int { return strings.Compare(a.set, b.set) })
	return elements
}
