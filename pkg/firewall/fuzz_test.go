package firewall_test

import (
	"encoding/binary"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/firewall"
)

// attributes are the attributes of a message or of a nested attribute, by type. Of
// several of one type the last counts; lists are read with elements.
func attributes(all ...netlink.Attribute) []byte {
	data, err := netlink.MarshalAttributes(all)
	if err != nil {
		panic(err)
	}
	return data
}

func attribute(kind uint16, data []byte) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: data}
}

func be(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// expression is one expression of a rule: its name in the kernel, and its attributes.
func expression(name string, with ...netlink.Attribute) netlink.Attribute {
	return attribute(unix.NFTA_LIST_ELEM, attributes(attribute(unix.NFTA_EXPR_NAME, []byte(name)), attribute(unix.NFTA_EXPR_DATA, attributes(with...))))
}

// FuzzRule evaluates a rule and a set with any attributes, of any length: no panic.
func FuzzRule(f *testing.F) {
	f.Add([]byte{}, []byte{0, 9, 'x'})
	f.Add([]byte{8, 0, 1, 0, 8, 0, 1, 0}, []byte{0, 1, 'x', 0, 255})
	value := func(n int) []byte { return attributes(attribute(unix.NFTA_DATA_VALUE, make([]byte, n))) }
	f.Add(attributes(expression("meta", attribute(1, be(99)), attribute(2, be(6))), expression("cmp", attribute(1, be(99)), attribute(2, be(0)), attribute(3, value(200)))), []byte{})
	f.Add(attributes(expression("payload", attribute(1, be(23)), attribute(4, be(1<<31))), expression("bitwise", attribute(1, be(23)), attribute(2, be(4)), attribute(3, be(1<<31)), attribute(4, value(70)), attribute(5, value(3)))), []byte{})
	f.Add(attributes(expression("byteorder", attribute(1, be(1)), attribute(2, be(4)), attribute(4, be(1<<31)), attribute(5, be(3)))), []byte{})
	f.Add(attributes(expression("range", attribute(1, be(1)), attribute(2, be(1)), attribute(3, value(99)), attribute(4, value(1)))), []byte{})
	f.Add(attributes(expression("lookup", attribute(1, []byte("set")), attribute(2, be(23)), attribute(3, be(0)))), make([]byte, 40))
	f.Add(attributes(expression("lookup", attribute(1, []byte("set")), attribute(2, be(0)), attribute(3, be(1)))), make([]byte, 63))
	for _, name := range []string{"conntrack", "state", "addrtype", "physdev", "mark", "tcp", "comment", "multiport", "unknown"} {
		for revision := range uint32(4) {
			f.Add(attributes(expression("match", attribute(1, []byte(name)), attribute(2, be(revision)), attribute(3, make([]byte, 5*revision)))), []byte{})
		}
	}
	f.Add(attributes(expression("immediate", attribute(1, be(0)), attribute(2, attributes(attribute(2, attributes(attribute(1, be(0xfffffffd)), attribute(2, []byte("c")))))))), []byte{})
	f.Fuzz(func(_ *testing.T, expressions, element []byte) { firewall.Evaluate(expressions, element) })
}

// FuzzLegacyTable decodes and evaluates any bytes as a table of iptables-legacy: no panic.
func FuzzLegacyTable(f *testing.F) {
	f.Add([]byte{}, []byte{}, false)
	f.Add(make([]byte, 84), make([]byte, 500), true)
	entry := make([]byte, 152)
	binary.NativeEndian.PutUint16(entry[88:], 112)
	binary.NativeEndian.PutUint16(entry[90:], 152)
	f.Add(make([]byte, 84), entry, false)
	matched := make([]byte, 300)
	binary.NativeEndian.PutUint16(matched[88:], 200)
	binary.NativeEndian.PutUint16(matched[90:], 300)
	binary.NativeEndian.PutUint16(matched[112:], 88)
	f.Add(make([]byte, 84), append(matched, entry...), false)
	about := make([]byte, 84)
	for at, offset := range map[int]uint32{40: 452, 44: 0, 48: 452, 60: 452, 64: 300, 68: 452} { // hooks 1 to 3, and their policies
		binary.NativeEndian.PutUint32(about[at:], offset)
	}
	f.Add(about, append(matched, entry...), false)
	f.Fuzz(func(_ *testing.T, about, table []byte, isIPv6 bool) {
		_ = firewall.EvaluateLegacy(about, table, isIPv6)
	})
}
