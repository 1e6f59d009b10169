package link

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// conn is the way to rtnetlink in one network namespace: a socket for what an ADD or DEL asks,
// and the library's handle, opened when a dump is wanted.
type conn struct {
	socket  *socket
	library *netlink.Handle // nil until dumper opens it
	way     way
	cookie  uint64
}

// way leads to a network namespace.
type way struct {
	socket func(domain, kind, protocol int) (int, error) // opens one there
	enter  func(func() error) error                      // runs a function on a thread that is there
}

// here is the way to the namespace of the process.
func here() way {
	return way{socket: unix.Socket, enter: func(run func() error) error { return run() }}
}

// dial opens a socket in the network namespace that the way leads to.
func dial(w way) (*conn, error) {
	s, err := openSocket(w)
	if err != nil {
		return nil, err
	}
	c := &conn{socket: s, way: w}
	c.cookie, _ = unix.GetsockoptUint64(s.fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return c, nil
}

// Cookie identifies the network namespace until the next boot; 0 before Linux 5.14.
func (c *conn) Cookie() uint64 { return c.cookie }

func (c *conn) close() {
	if c.library != nil {
		c.library.Close()
	}
	c.socket.close()
}

// dumper is the library's handle in this namespace: for CHECK and for people's commands. No
// step of an ADD that every container takes may need it.
func (c *conn) dumper() (*netlink.Handle, error) {
	if c.library != nil {
		return c.library, nil
	}
	err := c.way.enter(func() (err error) {
		c.library, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return c.library, nil
}

// byName is a keyed get. A link that is not there is ErrNotFound.
func (c *conn) byName(name string) (*Link, error) {
	if name == "" || len(name) >= unix.IFNAMSIZ { // no link can have that name
		return nil, fmt.Errorf("interface %s: %w", name, ErrNotFound)
	}
	l, err := c.get(0, nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if errors.Is(err, syscall.ENODEV) {
		return nil, fmt.Errorf("interface %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("look up interface %s: %w", name, err)
	}
	return l, nil
}

const skipStatistics = 1 << 3 // RTEXT_FILTER_SKIP_STATS, linux/rtnetlink.h, Linux 4.4

// get asks for one link, by index or by an attribute. The statistics are left out: to add them
// up over all CPUs takes longer than all the rest.
func (c *conn) get(index int, key ...*nl.RtAttr) (*Link, error) {
	req := linkRequest(unix.RTM_GETLINK, 0, linkHeader{index: index})
	for _, attr := range key {
		req.AddData(attr)
	}
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStatistics)))
	var l *Link
	if err := c.socket.execute(req, func(body []byte) { l = parseLink(body) }); err != nil {
		return nil, err
	}
	if l == nil {
		return nil, errors.New("the kernel's answer is no link")
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

// linkHeader is what a message about a link begins with: its index (0: an attribute tells which)
// and the flags (IFF_*) to be set.
type linkHeader struct {
	index int
	set   uint32
}

func linkRequest(proto, flags int, head linkHeader) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(proto, flags)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index, msg.Flags, msg.Change = int32(head.index), head.set, head.set
	req.AddData(msg)
	return req
}

// change sets flags and attributes of a link.
func (c *conn) change(head linkHeader, attrs ...*nl.RtAttr) error {
	req := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, head)
	for _, attr := range attrs {
		req.AddData(attr)
	}
	return c.socket.execute(req, nil)
}

// setUp sets a link up.
func (c *conn) setUp(index int) error { return c.change(linkHeader{index: index, set: unix.IFF_UP}) }
