package link

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// conn is a connection to rtnetlink in one network namespace: a socket for the requests of ADD and DEL,
// and a handle of vishvananda/netlink, opened when a dump is needed.
type conn struct {
	socket  socket
	library *netlink.Handle // nil until dumper opens it
	netns   namespace
	cookie  uint64

	Until time.Time             // deadline of all waits for the kernel; the zero Time: none
	Warn  func(sentence string) // receives warnings; may be nil
}

// namespace opens sockets, and runs functions, in a network namespace.
type namespace struct {
	socket func(domain, kind, protocol int) (int, error) // opens a socket in the namespace
	enter  func(func() error) error                      // runs a function on a thread in the namespace
}

// ownNamespace is that of the process.
func ownNamespace() namespace {
	return namespace{socket: unix.Socket, enter: func(run func() error) error { return run() }}
}

// dial opens an rtnetlink socket in a network namespace. The socket belongs to that namespace,
// whichever thread uses it later.
//
// SO_NETNS_COOKIE fails with ENOPROTOOPT before Linux 5.14. The cookie is then 0, which all
// callers take for unknown.
func dial(in namespace) (*conn, error) {
	s, err := openSocket(in)
	if err != nil {
		return nil, err
	}
	c := &conn{socket: s, netns: in}
	c.cookie, _ = unix.GetsockoptUint64(s.FD(), unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return c, nil
}

// Cookie returns a number that identifies the network namespace until the next boot (SO_NETNS_COOKIE); 0
// before Linux 5.14.
func (c *conn) Cookie() uint64 { return c.cookie }

func (c *conn) close() {
	if c.library != nil {
		c.library.Close()
	}
	c.socket.Close()
}

// dumper returns the library's handle in this namespace, for CHECK and for commands. The steps that
// every ADD takes must not need it: it opens another socket and allocates a large buffer per request.
func (c *conn) dumper() (*netlink.Handle, error) {
	if c.library != nil {
		return c.library, nil
	}
	err := c.netns.enter(func() (err error) {
		c.library, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return c.library, nil
}

// byName looks up a link by name, in one request. Errors wrap ErrNotFound.
//
// The kernel looks IFLA_IFNAME up among the alternative names of interfaces as well (Linux
// 5.5). The link that is found then has another Name; its owner gave it that alternative
// name, so it is not ours, and is recognized as such by type or alias.
func (c *conn) byName(name string) (*Link, error) {
	if name == "" || len(name) >= unix.IFNAMSIZ { // the kernel would refuse the request
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

// get looks up a link by index or by an attribute. The statistics are excluded: the kernel sums them up
// over all CPUs, which takes longer than the rest of the request.
//
// It is one request and one reply under the RTNL lock (rtnl_getlink), with the cost of one
// hash look-up however many links exist. ENODEV means that there is no such link.
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
		return nil, errors.New("the kernel's reply contains no link")
	}
	return l, nil
}

// exists reports whether a link with a name exists.
func (c *conn) exists(name string) (bool, error) {
	_, err := c.byName(name)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// linkHeader is the header of a message about a link: its index (0 if an attribute identifies it) and
// the flags (IFF_*) to set and to clear.
type linkHeader struct {
	index      int
	set, clear uint32
}

// linkRequest returns a request with a struct ifinfomsg.
func linkRequest(proto, flags int, head linkHeader) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(proto, flags)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index, msg.Flags, msg.Change = int32(head.index), head.set, head.set|head.clear
	req.AddData(msg)
	return req
}

// change sets flags and attributes of a link, in one message that the kernel applies under one RTNL lock.
//
// The order in which attributes are applied is fixed by do_setlink (net/core/rtnetlink.c),
// not by the message: bridge port flags, MAC, MTU, group, name, alias, IFF_*, master, then
// IFLA_AF_SPEC. It is no transaction: after an error, what was applied before it stays, and
// the kernel logs "A link change request failed with some changes committed already".
//
// The link must be identified, by index or by IFLA_IFNAME. The kernel would apply a message
// without either but with IFLA_GROUP to all links of that group (rtnl_group_changelink).
//
// NLM_F_CREATE is not set: a link that was deleted meanwhile yields ENODEV, and is not
// created.
func (c *conn) change(head linkHeader, attrs ...*nl.RtAttr) error {
	req := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, head)
	for _, attr := range attrs {
		req.AddData(attr)
	}
	return c.socket.execute(req, nil)
}

// setUp sets a link up.
func (c *conn) setUp(index int) error { return c.change(linkHeader{index: index, set: unix.IFF_UP}) }
