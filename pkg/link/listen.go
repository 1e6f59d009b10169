package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ErrNoSockDiag is wrapped where the kernel does not tell of its sockets.
var ErrNoSockDiag = errors.New("this kernel has no sock_diag")

// Listeners are addresses and ports that sockets of the host wait on, in no order. The unspecified
// address stands for all of its family.
type Listeners []netip.AddrPort

// At finds one that gets what is sent to an address and port. The unspecified address asks for any of
// its family, an invalid one for any at all.
func (all Listeners) At(addr netip.Addr, port uint16) (netip.AddrPort, bool) {
	for _, l := range all {
		if l.Port() == port && meets(l.Addr(), addr) {
			return l, true
		}
	}
	return netip.AddrPort{}, false
}

func meets(listener, addr netip.Addr) bool {
	if !addr.IsValid() || listener == addr {
		return true
	}
	return listener.Is4() == addr.Is4() && (listener.IsUnspecified() || addr.IsUnspecified())
}

// Listeners asks for the sockets that wait on a port, or on any port if it is 0: of TCP those that
// listen, of UDP those that are bound and have no peer. Nothing is bound to find out, and no
// connection is told of. Proto is unix.IPPROTO_TCP or IPPROTO_UDP; of others there are none.
// ErrNoSockDiag is wrapped where the kernel cannot answer.
func (h *Host) Listeners(proto uint8, port uint16) (Listeners, error) {
	states, known := waiting(proto)
	if !known {
		return nil, nil
	}
	s, err := openNetlink(h.way, unix.NETLINK_SOCK_DIAG)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, fmt.Errorf("%w: %w", ErrNoSockDiag, err)
	}
	if err != nil {
		return nil, err
	}
	defer s.close()
	var all Listeners
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		r := diagRequest{family: family, proto: proto, states: states, port: port}
		err := s.execute(r.netlink(), func(body []byte) { all = append(all, parseListener(body)...) })
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

// waiting are the states, a bit for each, of sockets that wait for whoever comes.
func waiting(proto uint8) (states uint32, known bool) {
	switch proto {
	case unix.IPPROTO_TCP:
		return 1 << stateListen, true
	case unix.IPPROTO_UDP:
		return 1 << stateClose, true
	}
	return 0, false
}

// diagRequest is struct inet_diag_req_v2 (linux/inet_diag.h): family, protocol, two bytes, states, and
// the identity of a socket, of which a dump looks at the ports.
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

// Len is that of the structure.
func (r diagRequest) Len() int { return diagRequestSize }

// Serialize writes the structure; what is not set is zero.
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

// parseListener reads an answer: two addresses if an IPv6 socket on all addresses gets IPv4 too.
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
	for kind, value := range attributes(body[diagMessageSize:]) {
		if kind == diagV6Only && len(value) == 1 && value[0] == 0 && addr == netip.IPv6Unspecified() {
			all = append(all, netip.AddrPortFrom(netip.IPv4Unspecified(), port))
		}
	}
	return all
}
