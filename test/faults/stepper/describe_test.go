package stepper

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// request is one netlink message.
func request(kind uint16, body ...byte) []byte {
	out := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	out = binary.NativeEndian.AppendUint16(out, kind)
	return append(append(out, make([]byte, 10)...), body...)
}

// TestReadOnlyMessagesAreNoChange: requests that only read flows or sockets are no changes; unknown messages are.
func TestReadOnlyMessagesAreNoChange(t *testing.T) {
	const conntrack = unix.NFNL_SUBSYS_CTNETLINK << 8
	header := []byte{unix.AF_INET, 0, 0, 0}
	udp6 := []byte{unix.AF_INET6, unix.IPPROTO_UDP, 0, 0}
	begin, end := request(unix.NFNL_MSG_BATCH_BEGIN, header...), request(unix.NFNL_MSG_BATCH_END, header...)
	for _, tt := range []struct {
		protocol int
		data     []byte
		text     string
		changing bool
	}{
		{unix.NETLINK_NETFILTER, request(conntrack|5, header...), "conntrack GET_STATS", false},
		{unix.NETLINK_NETFILTER, request(conntrack|1, header...), "conntrack GET", false},
		{unix.NETLINK_NETFILTER, request(conntrack|2, header...), "conntrack DELETE", true},
		{unix.NETLINK_NETFILTER, request(conntrack|3, header...), "conntrack GET_CTRZERO", true},
		{unix.NETLINK_NETFILTER, request(conntrack|99, header...), "conntrack message 0x163", true},
		{unix.NETLINK_NETFILTER, slices.Concat(begin, end), "nftables empty transaction", false},
		{unix.NETLINK_NETFILTER, begin, "unknown message to netfilter", true},
		{unix.NETLINK_NETFILTER, slices.Concat(begin, request(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_DELTABLE, header...), end), "nftables DELTABLE", true},
		{unix.NETLINK_SOCK_DIAG, request(unix.SOCK_DIAG_BY_FAMILY, udp6...), "SOCK_DIAG_BY_FAMILY family 10 protocol 17", false},
		{unix.NETLINK_SOCK_DIAG, request(unix.SOCK_DESTROY, udp6...), "unknown message to sock_diag", true},
		{unix.NETLINK_SOCK_DIAG, slices.Concat(request(unix.SOCK_DIAG_BY_FAMILY, udp6...), request(unix.SOCK_DESTROY, udp6...)), "SOCK_DIAG_BY_FAMILY family 10 protocol 17", true},
		{unix.NETLINK_GENERIC, request(16, header...), "netlink protocol 16", true},
	} {
		text, changing := describe(tt.protocol, tt.data)
		expect.Equal(t, "text", text, tt.text)
		expect.Equal(t, tt.text+": changing", changing, tt.changing)
	}
}
