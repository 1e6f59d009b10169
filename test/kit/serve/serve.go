// Package serve runs small servers in the network namespaces of a test and connects to them. What an answer or a refusal means is for
// the test to say.
package serve

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TCP accepts connections at an address ("[::]:80") of a namespace until the test ends. handle may be nil; the connection is closed after it.
func TCP(t testing.TB, n *nettest.Netns, address string, handle func(net.Conn)) {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	var l net.Listener
	var err error
	n.Do(func() { l, err = lc.Listen(context.Background(), "tcp", address) })
	if err != nil {
		t.Fatalf("listen in %s: %v", n.Name(), err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go func() {
				defer conn.Close()
				if handle != nil {
					handle(conn)
				}
			}()
		}
	}()
}

// UDP replies to each datagram at an address of a namespace until the test ends. Where a namespace has several addresses one must be given:
// a reply has to come from the address that the request was sent to. The caller may close the socket earlier.
func UDP(t testing.TB, n *nettest.Netns, address string, reply func(from netip.Addr, payload string) string) net.PacketConn {
	t.Helper()
	var p net.PacketConn
	var err error
	n.Do(func() { p, err = new(net.ListenConfig).ListenPacket(context.Background(), "udp", address) })
	if err != nil {
		t.Fatalf("listen in %s: %v", n.Name(), err)
	}
	t.Cleanup(func() { _ = p.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := p.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // an ICMP error that an earlier reply caused
				continue
			}
			if client, ok := from.(*net.UDPAddr); ok { // always, of a socket of UDP
				_, _ = p.WriteTo([]byte(reply(client.AddrPort().Addr(), string(buf[:n]))), from)
			}
		}
	}()
	return p
}

// Connect opens a TCP connection from a namespace and closes it.
func Connect(from *nettest.Netns, to netip.AddrPort, timeout time.Duration) error {
	var conn net.Conn
	var err error
	from.Do(func() { conn, err = net.DialTimeout("tcp", to.String(), timeout) })
	if err == nil {
		_ = conn.Close()
	}
	return err
}
