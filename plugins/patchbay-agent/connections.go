package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// dialTimeout bounds the attempt to connect to the API server.
const dialTimeout = 10 * time.Second

// connections are the open TCP connections to the API server, of which there is one, or a few behind a proxy that does not speak HTTP/2.
//
// The kernel keeps a connection whose local address is deleted from the host, and repeats what it sends from there for a quarter of an hour. So
// each pass closes such a connection, and client-go connects again at once, from another address. A network that drops packets silently is noticed by
// the health check of HTTP/2.
type connections struct {
	mu   sync.Mutex
	open map[*connection]bool
}

// connection is one of them.
type connection struct {
	net.Conn
	among *connections
	local *net.TCPAddr
}

// setHealthCheck sets the times after which client-go gives up a connection on which nothing arrives: it asks for an answer (a PING of HTTP/2) after 10 s,
// and waits 5 s for it. They are 30 s and 15 s otherwise. Others in the environment stay.
func setHealthCheck() {
	for name, seconds := range map[string]string{"HTTP2_READ_IDLE_TIMEOUT_SECONDS": "10", "HTTP2_PING_TIMEOUT_SECONDS": "5"} {
		if os.Getenv(name) == "" {
			_ = os.Setenv(name, seconds)
		}
	}
}

// dial connects, for client-go.
func (c *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	local, is := conn.LocalAddr().(*net.TCPAddr)
	if !is {
		return conn, nil
	}
	one := &connection{Conn: conn, among: c, local: local}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[*connection]bool{}
	}
	c.open[one] = true
	return one, nil
}

// Close closes the connection.
func (c *connection) Close() error {
	c.among.mu.Lock()
	delete(c.among.open, c)
	c.among.mu.Unlock()
	return c.Conn.Close()
}

// closeLost closes the connections from addresses that this host does not have any more, and returns these addresses.
func (c *connections) closeLost() (lost []netip.Addr) {
	c.mu.Lock()
	var gone []*connection
	for one := range c.open {
		if !onHost(one.local) {
			gone = append(gone, one)
		}
	}
	c.mu.Unlock()
	for _, one := range gone {
		_ = one.Close()
		lost = append(lost, one.local.AddrPort().Addr().Unmap())
	}
	return lost
}

// onHost reports whether the kernel takes packets to an address for those of this host: a socket can be bound to it.
func onHost(addr *net.TCPAddr) bool {
	s, err := net.ListenUDP("udp", &net.UDPAddr{IP: addr.IP, Zone: addr.Zone})
	if err == nil {
		_ = s.Close()
	}
	return !errors.Is(err, unix.EADDRNOTAVAIL)
}
