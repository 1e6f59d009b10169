package nft

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// element is an element of a set or a map. Key and target are encoded as setSpecs
// describes.
type element struct {
	set     string
	key     string
	chain   string // that the verdict jumps to; "" in a set and in a map of targets
	target  string // address and port; "" in a set and in a map of verdicts
	comment string // the owner; "" for an element of a bridge, which its attachments share
}

// text returns the key as nft(8) prints it.
func (e element) text() string { return setSpecOf(e.set).text(e.key) }

// elementsMessage encodes elements of one set: if whole with data and comment,
// otherwise the keys alone. SetAddElements of google/nftables cannot set NLM_F_EXCL,
// which is what keeps one attachment from replacing the element of another.
func elementsMessage(elements []element, whole bool) ([]byte, error) {
	s := setSpecOf(elements[0].set)
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	ae.String(unix.NFTA_SET_ELEM_LIST_TABLE, tableName)
	ae.String(unix.NFTA_SET_ELEM_LIST_SET, s.name)
	ae.Nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, func(list *netlink.AttributeEncoder) error {
		for _, e := range elements {
			list.Nested(unix.NFTA_LIST_ELEM, func(one *netlink.AttributeEncoder) error {
				e.encode(one, s.data, whole)
				return nil
			})
		}
		return nil
	})
	return ae.Encode()
}

// encode encodes the key and, if whole, the data and the comment.
// The comment is user data of the element. nf_tables neither reads it nor compares it:
// a delete by key removes an element whatever its comment. That is why removals look
// up the owner first.
func (e element) encode(ae *netlink.AttributeEncoder, to int, whole bool) {
	ae.Nested(unix.NFTA_SET_ELEM_KEY, func(key *netlink.AttributeEncoder) error {
		key.Bytes(unix.NFTA_DATA_VALUE, []byte(e.key))
		return nil
	})
	if !whole {
		return
	}
	if to != noData {
		ae.Nested(unix.NFTA_SET_ELEM_DATA, func(data *netlink.AttributeEncoder) error {
			e.encodeData(data, to)
			return nil
		})
	}
	if e.comment != "" {
		ae.Bytes(unix.NFTA_SET_ELEM_USERDATA, userdata.AppendString(nil, userdata.NFTNL_UDATA_SET_ELEM_COMMENT, e.comment))
	}
}

// encodeData encodes the verdict, or the address and port, that a map has for the
// key.
// A verdict holds a reference to its chain (nft_verdict_init): the chain must exist
// (ENOENT), cannot be a base chain, and cannot be deleted while the element exists
// (EBUSY).
func (e element) encodeData(ae *netlink.AttributeEncoder, to int) {
	if to == targetData {
		ae.Bytes(unix.NFTA_DATA_VALUE, []byte(e.target))
		return
	}
	code := int32(unix.NFT_JUMP)
	if to == gotoData {
		code = unix.NFT_GOTO
	}
	ae.Nested(unix.NFTA_DATA_VERDICT, func(verdict *netlink.AttributeEncoder) error {
		verdict.Int32(unix.NFTA_VERDICT_CODE, code)
		verdict.String(unix.NFTA_VERDICT_CHAIN, e.chain)
		return nil
	})
}

// elementsOf decodes the answers to a request about a set.
func elementsOf(set string, answers []nlsock.Message) ([]element, error) {
	var all []element
	for _, answer := range answers {
		found, err := decodeElements(nfnl.Attributes(answer))
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

// decodeElements decodes the attributes of one answer about a set. The kernel passes
// on what any program stored, so every length is checked.
func decodeElements(attributes []byte) ([]element, error) {
	var all []element
	err := eachAttribute(attributes, func(ad *netlink.AttributeDecoder) {
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

// eachAttribute calls see for each attribute. nf_tables encodes numbers in network
// byte order.
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

// decode decodes one element of a list.
func (e *element) decode(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_SET_ELEM_KEY:
			ad.Nested(decodeValue(&e.key))
		case unix.NFTA_SET_ELEM_DATA:
			ad.Nested(e.decodeData)
		case unix.NFTA_SET_ELEM_USERDATA:
			e.comment = nfnl.Comment(ad.Bytes())
		}
	}
	return ad.Err()
}

// decodeValue returns a decoder of NFTA_DATA_VALUE into a string.
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

// decodeData decodes the value or the verdict that the key maps to.
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

// bySet sorts elements by set, so that those of one set go into one message.
// The order within a set is kept: the first of two elements with one key counts.
func bySet(elements []element) []element {
	slices.SortStableFunc(elements, func(a, b element) int { return strings.Compare(a.set, b.set) })
	return elements
}
