package nft

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"golang.org/x/sys/unix"
)

// field is one of the things that a key or a mapping's target is made of.
type field byte

const (
	fieldIfname field = iota
	fieldIPv4
	fieldIPv6
	fieldProto // of the transport, as in the IP header
	fieldPort
)

func (f field) datatype() nftables.SetDatatype {
	switch f {
	case fieldIfname:
		return nftables.TypeIFName
	case fieldIPv4:
		return nftables.TypeIPAddr
	case fieldIPv6:
		return nftables.TypeIP6Addr
	case fieldProto:
		return nftables.TypeInetProto
	}
	return nftables.TypeInetService
}

// size is how many bytes a field takes: as it is in a register, of four bytes or several of them.
func (f field) size() int { return (int(f.datatype().Bytes) + 3) / 4 * 4 }

// text is a field as nft(8) prints it.
func (f field) text(data string) string {
	switch f {
	case fieldIfname:
		return strings.TrimRight(data, "\x00")
	case fieldProto:
		return ProtoName(data[0])
	case fieldPort:
		return strconv.Itoa(int(data[0])<<8 | int(data[1]))
	}
	addr, _ := netip.AddrFromSlice([]byte(data))
	return addr.String()
}

// ProtoName is a transport protocol's name: tcp, udp, sctp, or its number.
func ProtoName(proto uint8) string {
	switch proto {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	case unix.IPPROTO_SCTP:
		return "sctp"
	}
	return strconv.Itoa(int(proto))
}

// What a map leads to.
const (
	toNothing = iota // a set
	toJump           // a chain that returns
	toGoto           // a chain that does not
	toTarget         // the address and port of a container
)

// shape is what the elements of a set or a map are made of.
type shape struct {
	name   string
	key    []field
	to     int
	bridge bool // in the table of the bridge family
}

// shapes are all sets and maps, in the order in which they are listed. What is per attachment has
// its owner as comment; intra, apart, isolated and localnet hold bridges.
var shapes = sync.OnceValue(allShapes)

func allShapes() []shape {
	all := []shape{
		{name: "intra", key: []field{fieldIfname, fieldIfname}},
		{name: "apart", key: []field{fieldIfname, fieldIfname}},
		{name: "isolated", key: []field{fieldIfname}},
		{name: "localnet", key: []field{fieldIfname}},
	}
	for _, addr := range []field{fieldIPv4, fieldIPv6} {
		n := family(addr == fieldIPv4)
		all = append(all,
			shape{name: "masq" + n, key: []field{fieldIfname, addr}, to: toJump},
			shape{name: "invalid" + n, key: []field{fieldIfname, addr}, to: toJump},
			shape{name: "publish" + n, key: []field{fieldProto, fieldPort}, to: toTarget},
			shape{name: "publish" + n + "_addr", key: []field{addr, fieldProto, fieldPort}, to: toTarget},
			shape{name: "mark" + n, key: []field{fieldProto, fieldPort}, to: toGoto},
			shape{name: "mark" + n + "_addr", key: []field{addr, fieldProto, fieldPort}, to: toGoto},
			shape{name: "self" + n, key: []field{fieldIfname, addr, addr}},
			shape{name: "plain" + n, key: []field{fieldIfname, addr}},
			shape{name: "all" + n, key: []field{fieldIfname, addr}},
		)
	}
	return append(all,
		shape{name: portsApart, key: []field{fieldIfname}, bridge: true},
		shape{name: portsSelf, key: []field{fieldIfname, fieldIfname}, bridge: true},
	)
}

// portsApart is the set of bridge ports that do not reach each other, portsSelf that of the same
// ports, each by itself: nft cannot say that a frame goes out where it came in.
const (
	portsApart = "ports_apart"
	portsSelf  = "ports_self"
)

func shapeOf(set string) shape {
	for _, s := range shapes() {
		if s.name == set {
			return s
		}
	}
	return shape{name: set}
}

// ofBridges reports whether a set's elements are not an attachment's: those of a bridge, without a
// comment.
func (s shape) ofBridges() bool {
	return slices.Contains([]string{"intra", "apart", "isolated", "localnet"}, s.name)
}

// is4 reports whether a set is about IPv4.
func (s shape) is4() bool { return strings.Contains(strings.TrimSuffix(s.name, "_addr"), "4") }

// text is a key as nft(8) prints it; one that is not of this shape is told as it is.
func (s shape) text(key string) string {
	var parts []string
	for _, f := range s.key {
		if len(key) < f.size() {
			return strconv.Quote(key)
		}
		parts = append(parts, f.text(key[:f.size()]))
		key = key[f.size():]
	}
	return strings.Join(parts, " . ")
}

// set is the shape as the library takes it.
func (s shape) set(t *nftables.Table) *nftables.Set {
	set := &nftables.Set{Table: t, Name: s.name, IsMap: s.to != toNothing, KeyType: concat(s.key), Concatenation: len(s.key) > 1}
	if len(s.key) == 1 {
		set.KeyByteOrder = binaryutil.NativeEndian // of a name alone nft(8) wants to be told
	}
	switch s.to {
	case toJump, toGoto:
		set.DataType = nftables.TypeVerdict
	case toTarget:
		addr := fieldIPv6
		if s.is4() {
			addr = fieldIPv4
		}
		set.DataType = concat([]field{addr, fieldPort})
	}
	return set
}

func concat(fields []field) nftables.SetDatatype {
	var types []nftables.SetDatatype
	for _, f := range fields {
		types = append(types, f.datatype())
	}
	if len(types) == 1 {
		return types[0]
	}
	return nftables.MustConcatSetType(types...)
}

// The bytes of fields.

func ifnameBytes(name string) string {
	return name + strings.Repeat("\x00", max(0, unix.IFNAMSIZ-len(name)))
}

func addrBytes(addr netip.Addr) string { return string(addr.AsSlice()) }

func protoBytes(proto uint8) string { return string([]byte{proto, 0, 0, 0}) }

func portBytes(port uint16) string { return string([]byte{byte(port >> 8), byte(port), 0, 0}) }
