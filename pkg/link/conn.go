package link

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// conn is the way to rtnetlink in one network namespace: the library's handle, and a socket
// of our own for the messages that the library cannot form.
type conn struct {
	handle  *netlink.Handle
	sockets map[int]*nl.SocketHandle
	enter   func(func() error) error // runs a function on a thread in the namespace
	cookie  uint64
}

// dial opens the sockets in the network namespace that enter leads to.
func dial(enter func(func() error) error) (*conn, error) {
	c := &conn{enter: enter}
	return c, enter(c.open)
}

// Cookie identifies the network namespace until the next boot; 0 before Linux 5.14.
func (c *conn) Cookie() uint64 { return c.cookie }

// here is enter for the namespace of the process.
func here(run func() error) error { return run() }

func (c *conn) open() error {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		handle.Close()
		return fmt.Errorf("open netlink socket: %w", err)
	}
	// The kernel's own words for an error (4.12), and dumps that are filtered where they are
	// made (4.20): both are only better where they are there.
	_ = socket.SetExtAck(true)
	_ = unix.SetsockoptInt(socket.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	c.handle, c.cookie = handle, cookie()
	c.sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: socket}}
	return nil
}

func (c *conn) close() {
	c.handle.Close()
	c.sockets[unix.NETLINK_ROUTE].Close()
}

// request starts a message on our own socket.
func (c *conn) request(proto, flags int) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(proto, flags)
	req.Sockets = c.sockets
	return req
}

func execute(req *nl.NetlinkRequest, answer uint16) ([][]byte, error) {
	return req.Execute(unix.NETLINK_ROUTE, answer)
}

// byName is a keyed get. A link that is not there is ErrNotFound.
func (c *conn) byName(name string) (netlink.Link, error) {
	l, err := c.handle.LinkByName(name)
	var notFound netlink.LinkNotFoundError
	if errors.As(err, &notFound) || errors.Is(err, syscall.ENODEV) {
		return nil, fmt.Errorf("interface %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("look up interface %s: %w", name, err)
	}
	return l, nil
}

// exists reports whether a link of that name is there.
func (c *conn) exists(name string) (bool, error) {
	_, err := c.byName(name)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
