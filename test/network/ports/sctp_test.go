package ports

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// The kernel of the test machines has connection tracking and NAT of SCTP but no SCTP sockets. The first two packets of an association, INIT and INIT
// ACK, are built here and sent with raw sockets. The payload is at the place of the chunk's parameters.
const (
	chunkInit    = 1
	chunkInitAck = 2
	sctpHeader   = 12
	initHeader   = 20
	ourTag       = 0x70617463 // INIT has tag 0, INIT ACK the tag of INIT
)

// sctpPacket returns a common header and one chunk, with CRC32c.
func sctpPacket(from, to uint16, chunk byte, text string) []byte {
	p := make([]byte, sctpHeader+initHeader, 200)
	binary.BigEndian.PutUint16(p, from)
	binary.BigEndian.PutUint16(p[2:], to)
	if chunk == chunkInitAck {
		binary.BigEndian.PutUint32(p[4:], ourTag)
	}
	c := p[sctpHeader:]
	c[0] = chunk
	binary.BigEndian.PutUint16(c[2:], uint16(initHeader+len(text)))
	binary.BigEndian.PutUint32(c[4:], ourTag)
	binary.BigEndian.PutUint32(c[8:], 1<<16) // receiver's window
	binary.BigEndian.PutUint16(c[12:], 1)    // streams out
	binary.BigEndian.PutUint16(c[14:], 1)    // and in
	p = append(p, text...)
	for len(p)%4 != 0 {
		p = append(p, 0)
	}
	binary.LittleEndian.PutUint32(p[8:], crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
	return p
}

// sctpText returns payload and source port of a packet with the chunk type for one port.
func sctpText(p []byte, port uint16, chunk byte) (text string, from uint16, ok bool) {
	if len(p) < sctpHeader+initHeader || binary.BigEndian.Uint16(p[2:]) != port || p[sctpHeader] != chunk {
		return "", 0, false
	}
	length := int(binary.BigEndian.Uint16(p[sctpHeader+2:]))
	if length < initHeader || sctpHeader+length > len(p) {
		return "", 0, false
	}
	return string(p[sctpHeader+initHeader : sctpHeader+length]), binary.BigEndian.Uint16(p), true
}

// rawSCTP opens a socket that receives all SCTP packets of a family in a namespace.
func rawSCTP(ns *nettest.Netns, family netip.Addr) (*os.File, error) {
	fd, err := open(ns, family, unix.SOCK_RAW, unix.IPPROTO_SCTP)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "SCTP"), nil
}

// receiveSCTP returns the next packet without the IP header, which raw IPv4 sockets include.
func receiveSCTP(f *os.File, buf []byte) ([]byte, netip.Addr, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, netip.Addr{}, err
	}
	var n int
	var from unix.Sockaddr
	waited := raw.Read(func(fd uintptr) bool {
		n, from, err = unix.Recvfrom(int(fd), buf, 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if waited != nil || err != nil {
		return nil, netip.Addr{}, errors.Join(waited, err)
	}
	if a, is4 := from.(*unix.SockaddrInet4); is4 {
		return buf[int(buf[0]&0x0f)*4 : n], netip.AddrFrom4(a.Addr), nil
	}
	return buf[:n], netip.AddrFrom16(from.(*unix.SockaddrInet6).Addr), nil
}

func sendSCTP(f *os.File, to netip.Addr, packet []byte) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), packet, 0, sockaddr(netip.AddrPortFrom(to, 0))) })
	return errors.Join(failed, err)
}

// serveSCTP replies to INIT chunks for a port.
func serveSCTP(t *testing.T, ns *nettest.Netns, port uint16) {
	t.Helper()
	for _, family := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		f, err := rawSCTP(ns, family)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		go func() {
			buf := make([]byte, 2000)
			for {
				p, from, err := receiveSCTP(f, buf)
				if err != nil {
					return
				}
				if text, their, ok := sctpText(p, port, chunkInit); ok {
					_ = sendSCTP(f, from, sctpPacket(port, their, chunkInitAck, answer(ns.Name(), from, text)))
				}
			}
		}()
	}
}

// askSCTP sends an INIT from a new source port and waits for the INIT ACK.
func askSCTP(q request) (reply, error) {
	f, err := rawSCTP(q.from, q.to.Addr())
	if err != nil {
		return reply{}, err
	}
	defer f.Close()
	if err := f.SetDeadline(time.Now().Add(q.wait)); err != nil {
		return reply{}, err
	}
	mine := uint16(20000 + asked.Add(1)%40000)
	if err := sendSCTP(f, q.to.Addr(), sctpPacket(mine, q.to.Port(), chunkInit, q.payload)); err != nil {
		return reply{}, err
	}
	for buf := make([]byte, 2000); ; {
		p, from, err := receiveSCTP(f, buf)
		if err != nil {
			return reply{}, err
		}
		if text, their, ok := sctpText(p, mine, chunkInitAck); ok && from == q.to.Addr() && their == q.to.Port() {
			return parse(text, q.payload)
		}
	}
}
