package conntrack

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func ap(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// encodedFlow is a flow as the kernel encodes it.
func encodedFlow(tb testing.TB, proto uint8, original, reply [2]netip.AddrPort) []byte {
	tb.Helper()
	ae := netlink.NewAttributeEncoder()
	for i, t := range [][2]netip.AddrPort{original, reply} {
		ae.Nested(uint16(ctaTupleOrig+i), func(ae *netlink.AttributeEncoder) error {
			ae.ByteOrder = binary.BigEndian
			src, dst := uint16(ctaIPv4Src), uint16(ctaIPv4Dst)
			if t[0].Addr().Is6() {
				src, dst = ctaIPv6Src, ctaIPv6Dst
			}
			ae.Nested(ctaTupleIP, func(ae *netlink.AttributeEncoder) error {
				ae.Bytes(src, t[0].Addr().AsSlice())
				ae.Bytes(dst, t[1].Addr().AsSlice())
				return nil
			})
			ae.Nested(ctaTupleProto, func(ae *netlink.AttributeEncoder) error {
				ae.Uint8(ctaProtoNum, proto)
				ae.Uint16(ctaProtoSrcPort, t[0].Port())
				ae.Uint16(ctaProtoDstPort, t[1].Port())
				return nil
			})
			return nil
		})
	}
	ae.Bytes(ctaID, []byte{1, 2, 3, 4})
	ae.Bytes(ctaZone, []byte{0, 7})
	body, err := ae.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// The request to delete a flow repeats what the kernel sent, byte for byte: tuple, zone and ID.
func TestDeleteRequest(t *testing.T) {
	for _, family := range [][4]string{
		{"198.51.100.7:1001", "192.0.2.10:8080", "10.1.2.3:80", "198.51.100.7:1001"},
		{"[2001:db8::7]:1001", "[2001:db8::10]:8080", "[2001:db8:5::3]:80", "[2001:db8::7]:1001"},
	} {
		body := encodedFlow(t, unix.IPPROTO_UDP, [2]netip.AddrPort{ap(family[0]), ap(family[1])}, [2]netip.AddrPort{ap(family[2]), ap(family[3])})
		f, err := decodeFlow(body)
		if err != nil {
			t.Fatal(err)
		}
		if f.proto != unix.IPPROTO_UDP || f.to != ap(family[1]) || f.end != ap(family[2]) {
			t.Errorf("read proto %d to %s, leads to %s", f.proto, f.to, f.end)
		}
		request, err := f.encode()
		if err != nil {
			t.Fatal(err)
		}
		want := attributesOf(t, body)
		delete(want, ctaTupleReply)
		if diff := cmp.Diff(want, attributesOf(t, request)); diff != "" {
			t.Errorf("-received +sent:\n%s", diff)
		}
		if is4 := f.to.Addr().Is4(); (f.family() == unix.AF_INET) != is4 {
			t.Errorf("family %d for %s", f.family(), f.to)
		}
	}
}

func attributesOf(t *testing.T, body []byte) map[uint16][]byte {
	t.Helper()
	all := map[uint16][]byte{}
	ad, err := netlink.NewAttributeDecoder(body)
	if err != nil {
		t.Fatal(err)
	}
	for ad.Next() {
		all[ad.Type()] = ad.Bytes()
	}
	if err := ad.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// Any bytes: no panic, and a flow that was decoded can be encoded again.
func FuzzDecodeFlow(f *testing.F) {
	for _, family := range [][4]string{
		{"198.51.100.7:1001", "192.0.2.10:8080", "10.1.2.3:80", "198.51.100.7:1001"},
		{"[2001:db8::7]:1001", "[2001:db8::10]:8080", "[2001:db8:5::3]:80", "[2001:db8::7]:1001"},
	} {
		body := encodedFlow(f, unix.IPPROTO_UDP, [2]netip.AddrPort{ap(family[0]), ap(family[1])}, [2]netip.AddrPort{ap(family[2]), ap(family[3])})
		f.Add(body)
		f.Add(body[:len(body)-5])
		f.Add(body[:len(body)/2])
	}
	f.Add([]byte{})
	f.Add([]byte{2, 0})
	f.Add([]byte{8, 0, statsEntries, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		entries(data)
		flow, err := decodeFlow(data)
		if err != nil {
			return
		}
		if !flow.to.IsValid() || !flow.end.IsValid() || len(flow.id) != 4 {
			t.Errorf("half a flow: %+v", flow)
		}
		if _, err := flow.encode(); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}
