package nft

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"golang.org/x/sys/unix"
)

// field is the type of one part of a key, or of a map's target.
type field byte

const (
	fieldIfname field = iota
	fieldIPv4
	fieldIPv6
	fieldProto // of the transport, as in the IP header
	fieldPort
	fieldMAC
	fieldTarget6 // an IPv6 address in raw header bytes, for which nft(8) has no type
)

// datatype returns the field's type in nft(8).
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
	case fieldMAC:
		return nftables.TypeEtherAddr
	case fieldTarget6:
		raw := nftables.TypeInteger
		raw.Bytes = nftables.TypeIP6Addr.Bytes
		return raw
	}
	return nftables.TypeInetService
}

// size returns the size of a field in bytes: registers are a multiple of four bytes.
// A key shorter than its set's key length is refused with EINVAL.
func (f field) size() int { return (int(f.datatype().Bytes) + 3) / 4 * 4 }

// text returns a field as nft(8) prints it.
func (f field) text(data string) string {
	switch f {
	case fieldIfname:
		return strings.TrimRight(data, "\x00")
	case fieldProto:
		return ProtoName(data[0])
	case fieldPort:
		return strconv.Itoa(int(data[0])<<8 | int(data[1]))
	case fieldMAC:
		return net.HardwareAddr(data[:6]).String()
	}
	addr, _ := netip.AddrFromSlice([]byte(data))
	return addr.String()
}

// ProtoName returns the name of a transport protocol: tcp, udp, sctp, or its number.
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

// What the elements of a set or map have as data.
const (
	noData     = iota // a set
	jumpData          // a chain that returns
	gotoData          // a chain that does not
	targetData        // the address and port of a container
)

// setSpec describes a set or a map.
type setSpec struct {
	name   string
	key    []field
	data   int  // what an element maps its key to
	bridge bool // in the table of the bridge family
}

// setSpecs returns all sets and maps, in the order in which nft(8) lists them.
// Elements of attachments have their owner as comment; intra, apart, isolated,
// answers_only and localnet contain bridges.
// A change of this list, or of a rule, needs a new version (see skeleton.go): an older
// binary must not add elements to sets whose keys it does not know.
var setSpecs = sync.OnceValue(makeSetSpecs)

// makeSetSpecs returns the specifications of setSpecs.
func makeSetSpecs() []setSpec {
	all := []setSpec{
		{name: "intra", key: []field{fieldIfname, fieldIfname}},
		{name: "apart", key: []field{fieldIfname, fieldIfname}},
		{name: "isolated", key: []field{fieldIfname}},
		{name: answersOnlySet, key: []field{fieldIfname}},
		{name: "localnet", key: []field{fieldIfname}},
	}
	for _, f := range families() {
		n, addr := f.String(), f.field()
		all = append(all,
			setSpec{name: "masq" + n, key: []field{fieldIfname, addr}, data: jumpData},
			setSpec{name: "invalid" + n, key: []field{fieldIfname, addr}, data: jumpData},
			setSpec{name: "publish" + n, key: []field{fieldProto, fieldPort}, data: targetData},
			setSpec{name: "publish" + n + "_addr", key: []field{addr, fieldProto, fieldPort}, data: targetData},
			setSpec{name: "mark" + n, key: []field{fieldProto, fieldPort}, data: gotoData},
			setSpec{name: "mark" + n + "_addr", key: []field{addr, fieldProto, fieldPort}, data: gotoData},
			setSpec{name: "self" + n, key: []field{fieldIfname, addr, addr}},
			setSpec{name: "plain" + n, key: []field{fieldIfname, addr}},
			setSpec{name: "all" + n, key: []field{fieldIfname, addr}},
			setSpec{name: egressChain + n, key: []field{fieldIfname, addr}, data: jumpData},
		)
	}
	return append(all,
		setSpec{name: portsApart, key: []field{fieldIfname}, bridge: true},
		setSpec{name: portsSelf, key: []field{fieldIfname, fieldIfname}, bridge: true},
		setSpec{name: egressPorts, key: []field{fieldIfname}, data: jumpData, bridge: true},
		setSpec{name: checkedPorts, key: []field{fieldIfname}, data: gotoData, bridge: true},
		setSpec{name: ownMAC, key: []field{fieldIfname, fieldMAC}, bridge: true},
		setSpec{name: own4, key: []field{fieldIfname, fieldIPv4}, bridge: true},
		setSpec{name: own6, key: []field{fieldIfname, fieldIPv6}, bridge: true},
		setSpec{name: ownTarget6, key: []field{fieldIfname, fieldTarget6}, bridge: true},
	)
}

// ports_apart contains the bridge ports that are isolated from each other, ports_self
// each of them as a pair with itself: nft cannot compare the input interface with the
// output interface.
const (
	portsApart = "ports_apart"
	portsSelf  = "ports_self"
)

// answers_only contains the bridges whose ingressPolicy is "published". A chain of
// this name has the rules for packets to them.
const answersOnlySet = "answers_only"

// setSpecOf returns the specification of the set of a name.
func setSpecOf(set string) setSpec {
	for _, s := range setSpecs() {
		if s.name == set {
			return s
		}
	}
	return setSpec{name: set}
}

// isPerBridge reports whether the set's elements belong to bridges, not to
// attachments. They have no comment.
func (s setSpec) isPerBridge() bool {
	return slices.Contains([]string{"intra", "apart", "isolated", answersOnlySet, "localnet"}, s.name)
}

// family returns the family of the table that the set is in.
func (s setSpec) family() tableFamily {
	if s.bridge {
		return familyBridge
	}
	return familyInet
}

// is4 reports whether the set is for IPv4.
func (s setSpec) is4() bool { return strings.Contains(strings.TrimSuffix(s.name, "_addr"), "4") }

// text returns a key as nft(8) prints it; a key of the wrong length is quoted.
func (s setSpec) text(key string) string {
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

// declare returns the set as google/nftables declares it.
// No set has the flag interval or timeout, and none has a size: nf_tables uses a
// resizable hash table for these (nft_rhash), in which adding, removing and looking up
// take the same time for ten elements and for ten thousand. Key types are for nft(8)
// alone; the kernel knows only the length of a key.
func (s setSpec) declare(t *nftables.Table) *nftables.Set {
	set := &nftables.Set{Table: t, Name: s.name, IsMap: s.data != noData, KeyType: concat(s.key), Concatenation: len(s.key) > 1}
	if len(s.key) == 1 {
		set.KeyByteOrder = binaryutil.NativeEndian // of a name alone nft(8) wants to be unusable
	}
	if s.name == ownTarget6 {
		set.Concatenation = false // google/nftables would encode the field lengths of the named types
	}
	switch s.data {
	case jumpData, gotoData:
		set.DataType = nftables.TypeVerdict
	case targetData:
		addr := fieldIPv6
		if s.is4() {
			addr = fieldIPv4
		}
		set.DataType = concat([]field{addr, fieldPort})
	}
	return set
}

// concat returns the type of a concatenation of fields.
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

// ifnameBytes encodes an interface name, padded to 16 bytes.
// The kernel pads the name that `meta iifname` loads in the same way, so keys are
// compared as 16 bytes.
func ifnameBytes(name string) string {
	return name + strings.Repeat("\x00", max(0, unix.IFNAMSIZ-len(name)))
}

// addrBytes encodes an address.
func addrBytes(addr netip.Addr) string { return string(addr.AsSlice()) }

// protoBytes encodes a protocol, padded to a register.
// `meta l4proto` stores one byte and clears the rest of
// the register.
func protoBytes(proto uint8) string { return string([]byte{proto, 0, 0, 0}) }

// portBytes encodes a port in network byte order, padded to a register.
func portBytes(port uint16) string { return string([]byte{byte(port >> 8), byte(port), 0, 0}) }
