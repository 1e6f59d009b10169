package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Host is the network namespace that the bridge is in: that of the process.
type Host struct {
	*conn
}

// OpenHost opens the way to the kernel. Close it when done.
func OpenHost() (*Host, error) {
	c, err := dial(here)
	if err != nil {
		return nil, err
	}
	return &Host{conn: c}, nil
}

// Close closes the sockets.
func (h *Host) Close() { h.close() }

// cookie is SO_NETNS_COOKIE of the calling thread's network namespace. Unlike an inode number
// it is never given twice.
func cookie() uint64 {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	value, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0
	}
	return value
}

// Link is what there is to say about an interface of the host.
type Link struct {
	Name   string
	Index  int
	Kind   string // "veth", "bridge", "tun", ...
	Alias  string
	MAC    net.HardwareAddr
	MTU    int // bytes
	Up     bool
	Master int // index of the bridge it is a port of; 0 for none
	Peer   int // index, in the other namespace, of the other end of a veth; 0 for none
}

// Link looks an interface of the host up by name. ErrNotFound if it is not there.
func (h *Host) Link(name string) (*Link, error) { return h.link(name) }

func (c *conn) link(name string) (*Link, error) {
	l, err := c.byName(name)
	if err != nil {
		return nil, err
	}
	return linkOf(l), nil
}

func linkOf(l netlink.Link) *Link {
	a := l.Attrs()
	return &Link{
		Name: a.Name, Index: a.Index, Kind: l.Type(), Alias: a.Alias,
		MAC: a.HardwareAddr, MTU: a.MTU, Up: a.Flags&net.FlagUp != 0,
		Master: a.MasterIndex, Peer: a.ParentIndex,
	}
}

// Addresses are those of one interface, asked for by its index: the kernel does not look at
// the others (Linux 4.20; before, what it sends of others is passed over).
func (c *conn) Addresses(index int) ([]netip.Prefix, error) {
	req := c.request(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	msg := nl.NewIfAddrmsg(unix.AF_UNSPEC)
	msg.Index = uint32(index)
	req.AddData(msg)
	answers, err := execute(req, unix.RTM_NEWADDR)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list addresses of interface %d: %w", index, err)
	}
	var addrs []netip.Prefix
	for _, m := range answers {
		head := nl.DeserializeIfAddrmsg(m)
		if int(head.Index) != index {
			continue
		}
		addr, err := addressOf(m[head.Len():])
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, netip.PrefixFrom(addr, int(head.Prefixlen)))
	}
	return addrs, nil
}

// addressOf is IFA_LOCAL, which IPv6 does not send, else IFA_ADDRESS.
func addressOf(attributes []byte) (addr netip.Addr, err error) {
	attrs, err := nl.ParseRouteAttr(attributes)
	if err != nil {
		return addr, fmt.Errorf("read address: %w", err)
	}
	for _, attr := range attrs {
		switch attr.Attr.Type {
		case unix.IFA_LOCAL:
			addr, _ = netip.AddrFromSlice(attr.Value)
			return addr, nil
		case unix.IFA_ADDRESS:
			addr, _ = netip.AddrFromSlice(attr.Value)
		}
	}
	return addr, nil
}

// hasIPv6 reports whether this kernel, or this namespace, knows IPv6.
func hasIPv6() bool {
	_, err := os.Stat(sysctl("ipv6"))
	return err == nil
}
