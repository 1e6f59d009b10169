package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// ErrNoSockDiag is wrapped by errors of Listeners if the kernel does not list sockets: sock_diag is not
// built in and its module cannot be loaded.
var ErrNoSockDiag = errors.New("kernel without sock_diag")

// Listeners are the addresses and ports on which sockets of the host receive, in no order. The
// unspecified address (0.0.0.0 or ::) stands for all addresses of its family.
type Listeners []netip.AddrPort

// At returns a socket that receives packets to an address and port. The unspecified address matches any
// of its family, the zero Addr any at all.
func (all Listeners) At(addr netip.Addr, port uint16) (netip.AddrPort, bool) {
	for _, l := range all {
		if l.Port() == port && receives(l.Addr(), addr) {
			return l, true
		}
	}
	return netip.AddrPort{}, false
}

// receives reports whether a listener receives packets to an address, see At.
func receives(listener, addr netip.Addr) bool {
	if !addr.IsValid() || listener == addr {
		return true
	}
	return listener.Is4() == addr.Is4() && (listener.IsUnspecified() || addr.IsUnspecified())
}

// Listeners lists the sockets of the host that receive on a port, or on any port if it is 0: TCP
// sockets that listen, and UDP sockets that are bound and not connected. The kernel filters by state
// and port, so connections are not listed. No socket is bound to find out, which would make a program
// that starts at that moment fail. Proto is unix.IPPROTO_TCP or unix.IPPROTO_UDP; for others the result
// is empty. Errors wrap ErrNoSockDiag if the kernel cannot answer.
//
// A connected UDP socket has the state TCP_ESTABLISHED and receives from its peer only. The
// modules inet_diag, tcp_diag and udp_diag are loaded by the request, where that is
// possible: ENOENT means that the handler of a protocol is still missing afterwards. A
// socket in another network namespace does not count: it does not receive what arrives at
// the host.
func (h *Host) Listeners(proto uint8, port uint16) (Listeners, error) {
	states, known := receivingStates(proto)
	if !known {
		return nil, nil
	}
	s, err := nlsock.OpenIn(h.netns.socket, unix.NETLINK_SOCK_DIAG)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, fmt.Errorf("%w: %w", ErrNoSockDiag, err)
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var all Listeners
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		r := diagRequest{family: family, proto: proto, states: states, port: port}
		err := socket{s}.execute(r.netlink(), func(body []byte) { all = append(all, parseListener(body)...) })
		if errors.Is(err, unix.ENOENT) && family == unix.AF_INET6 && len(all) > 0 { // no IPv6
			continue
		}
		if errors.Is(err, unix.ENOENT) {
			return all, fmt.Errorf("%w: %w", ErrNoSockDiag, err)
		}
		if err != nil {
			return all, fmt.Errorf("list sockets: %w", err)
		}
	}
	return all, nil
}

const (
	stateClose  = 7  // TCP_CLOSE, net/tcp_states.h: also what a UDP socket without peer is in
	stateListen = 10 // TCP_LISTEN
)

// receivingStates returns a bit mask of the states of sockets that receive from any peer.
func receivingStates(proto uint8) (states uint32, known bool) {
	switch proto {
	case unix.IPPROTO_TCP:
		return 1 << stateListen, true
	case unix.IPPROTO_UDP:
		return 1 << stateClose, true
	}
	return 0, false
}

// diagRequest is struct inet_diag_req_v2 (linux/inet_diag.h): family, protocol, two bytes, states, and
// the identity of a socket, of which a dump compares the ports.
type diagRequest struct {
	family, proto uint8
	states        uint32
	port          uint16
}

const (
	sockDiagByFamily = 20 // linux/sock_diag.h
	diagRequestSize  = 56
)

func (r diagRequest) netlink() *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(sockDiagByFamily, unix.NLM_F_DUMP)
	req.AddData(r)
	return req
}

// Len returns the size of the structure in bytes.
func (r diagRequest) Len() int { return diagRequestSize }

// Serialize returns the structure; fields that are not set are zero.
func (r diagRequest) Serialize() []byte {
	b := make([]byte, diagRequestSize)
	b[0], b[1] = r.family, r.proto
	binary.NativeEndian.PutUint32(b[4:], r.states)
	binary.BigEndian.PutUint16(b[8:], r.port)
	return b
}

const (
	diagMessageSize = 72 // struct inet_diag_msg, linux/inet_diag.h
	diagSource      = 8  // where in it the socket's own address is, behind both ports
	diagV6Only      = 11 // INET_DIAG_SKV6ONLY, Linux 4.1: an attribute of IPv6 sockets that wait
)

// parseListener reads struct inet_diag_msg. An IPv6 socket on all addresses that is not IPV6_V6ONLY
// also receives IPv4, and yields two addresses.
func parseListener(body []byte) Listeners {
	if len(body) < diagMessageSize {
		return nil
	}
	port := binary.BigEndian.Uint16(body[4:])
	if body[0] == unix.AF_INET {
		return Listeners{netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[diagSource:])), port)}
	}
	addr := netip.AddrFrom16([16]byte(body[diagSource:])).Unmap()
	all := Listeners{netip.AddrPortFrom(addr, port)}
	for kind, value := range nlsock.Attributes(body[diagMessageSize:]) {
		if kind == diagV6Only && len(value) == 1 && value[0] == 0 && addr == netip.IPv6Unspecified() {
			all = append(all, netip.AddrPortFrom(netip.IPv4Unspecified(), port))
		}
	}
	return all
}
