package nettest

import (
	"net/netip"
	"testing"
)

// FuzzDecode: no frame, however short or wrong, breaks a capture.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	eth := append(make([]byte, 12), 0x86, 0xdd)
	f.Add(append(eth, make([]byte, 40)...))
	f.Add(mldReport())
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := decode(b); got.Len != len(b) || got.String() == "" {
			t.Errorf("decode %x: %+v", b, got)
		}
	})
}

// mldReport is an MLDv2 report behind hop-by-hop options.
func mldReport() []byte {
	b := append(make([]byte, 12), 0x86, 0xdd)
	ip := make([]byte, 40)
	ip[0], ip[6] = 0x60, 0
	copy(ip[8:], netip.MustParseAddr("fe80::1").AsSlice())
	copy(ip[24:], netip.MustParseAddr("ff02::16").AsSlice())
	b = append(b, ip...)
	b = append(b, 58, 0, 5, 2, 0, 0, 1, 0)
	return append(b, icmp6MLDv2Report, 0, 0, 0)
}

func TestDecodeMLD(t *testing.T) {
	t.Parallel()
	if f := decode(mldReport()); f.Kind != MLDReport || f.Dst != netip.MustParseAddr("ff02::16") {
		t.Errorf("got %+v", f)
	}
}

func TestChecksum(t *testing.T) {
	t.Parallel()
	// The example of RFC 1071, section 3.
	if got := checksum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != ^uint16(0xddf2) {
		t.Errorf("got %04x", got)
	}
}
