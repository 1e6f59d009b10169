package nlsock_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// bytesOf encodes 32-bit numbers in the host's order.
func bytesOf(numbers ...uint32) (data []byte) {
	for _, n := range numbers {
		data = binary.NativeEndian.AppendUint32(data, n)
	}
	return data
}

// attribute encodes an attribute with its padding.
func attribute(kind uint16, value string) []byte {
	data := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	data = binary.NativeEndian.AppendUint16(data, kind)
	data = append(data, value...)
	return append(data, make([]byte, nlsock.Align(len(value))-len(value))...)
}

func join(parts ...[]byte) (data []byte) {
	for _, p := range parts {
		data = append(data, p...)
	}
	return data
}

func TestMessageErr(t *testing.T) {
	const capped, tlvs = 0x100, 0x200
	failed := bytesOf(^uint32(unix.EEXIST) + 1)
	request := bytesOf(20, 1, 2, 3, 0xaaaaaaaa)
	text := attribute(1, "already there\x00")
	for name, tc := range map[string]struct {
		message nlsock.Message
		want    string // "" for no error
	}{
		"acknowledgement":                   {nlsock.Message{Type: unix.NLMSG_ERROR, Data: bytesOf(0)}, ""},
		"end of a dump without a number":    {nlsock.Message{Type: unix.NLMSG_DONE}, ""},
		"errno alone":                       {nlsock.Message{Type: unix.NLMSG_ERROR, Data: failed}, "file exists"},
		"request repeated, no text":         {nlsock.Message{Type: unix.NLMSG_ERROR, Data: join(failed, request)}, "file exists"},
		"text behind the repeated request":  {nlsock.Message{Type: unix.NLMSG_ERROR, Flags: tlvs, Data: join(failed, request, text)}, "file exists: already there"},
		"text behind the header":            {nlsock.Message{Type: unix.NLMSG_ERROR, Flags: tlvs | capped, Data: join(failed, request[:16], text)}, "file exists: already there"},
		"text behind another attribute":     {nlsock.Message{Type: unix.NLMSG_ERROR, Flags: tlvs | capped, Data: join(failed, request[:16], attribute(2, "at16"), text)}, "file exists: already there"},
		"text of a dump":                    {nlsock.Message{Type: unix.NLMSG_DONE, Flags: tlvs, Data: join(failed, text)}, "file exists: already there"},
		"repeated request longer than data": {nlsock.Message{Type: unix.NLMSG_ERROR, Flags: tlvs, Data: join(failed, bytesOf(^uint32(0), 1, 2, 3))}, "file exists"},
		"cut short behind the errno":        {nlsock.Message{Type: unix.NLMSG_ERROR, Flags: tlvs, Data: failed}, "file exists"},
	} {
		err := tc.message.Err()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || err.Error() != tc.want || !errors.Is(err, unix.EEXIST)) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

func TestMessagesCutShort(t *testing.T) {
	whole := join(bytesOf(17, 7, 1, 0), []byte{9, 0, 0, 0})
	for name, tc := range map[string]struct {
		datagram []byte
		want     int
	}{
		"empty":                   {nil, 0},
		"header cut short":        {whole[:15], 0},
		"data cut short":          {whole[:16], 0},
		"padding cut short":       {whole[:17], 1},
		"one":                     {whole, 1},
		"two":                     {join(whole, whole), 2},
		"second one cut short":    {join(whole, whole[:16]), 1},
		"length below the header": {join(bytesOf(15, 7, 1, 0), whole), 0},
	} {
		n := 0
		for m := range nlsock.Messages(tc.datagram) {
			if m.Type != 7 || m.Seq != 1 || len(m.Data) != 1 || m.Data[0] != 9 {
				t.Errorf("%s: got %+v", name, m)
			}
			n++
		}
		if n != tc.want {
			t.Errorf("%s: %d messages, want %d", name, n, tc.want)
		}
	}
}

// Any bytes can be read without a panic.
func FuzzMessages(f *testing.F) {
	f.Add([]byte{})
	f.Add(join(bytesOf(48, unix.NLMSG_ERROR|0x300<<16, 1, 0), bytesOf(^uint32(0)), bytesOf(20, 1, 2, 3), attribute(1, "text\x00")))
	f.Fuzz(func(_ *testing.T, datagram []byte) {
		for m := range nlsock.Messages(datagram) {
			_ = m.Err()
			for range nlsock.Attributes(m.Data) {
				continue
			}
		}
	})
}
