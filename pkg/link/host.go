package link

import (
	"errors"
	"fmt"
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
	c, err := dial(here())
	if err != nil {
		return nil, err
	}
	return &Host{conn: c}, nil
}

// Close closes the sockets.
func (h *Host) Close() { h.close() }

// Link looks an interface of the host up by name. ErrNotFound if it is not there.
func (h *Host) Link(name string) (*Link, error) { return h.byName(name) }

// Addresses are those of one interface, asked for by its index: the kernel does not look at
// the others (Linux 4.20; before, what it sends of others is passed over).
func (c *conn) Addresses(index int) ([]netip.Prefix, error) {
	found, err := c.addresses(index, unix.AF_UNSPEC)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list addresses of interface %d: %w", index, err)
	}
	addrs := make([]netip.Prefix, 0, len(found))
	for _, f := range found {
		addrs = append(addrs, f.prefix)
	}
	return addrs, nil
}

// address is one that an interface has.
type address struct {
	prefix    netip.Prefix
	duplicate bool // the kernel has found another host with it
}

func (c *conn) addresses(index, family int) ([]address, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	msg := nl.NewIfAddrmsg(family)
	msg.Index = uint32(index)
	req.AddData(msg)
	var found []address
	err := c.socket.execute(req, func(body []byte) {
		if a, ok := parseAddress(body, index); ok {
			found = append(found, a)
		}
	})
	return found, err
}

// parseAddress reads the body of an RTM_NEWADDR about the interface: IFA_LOCAL, which IPv6 does
// not send, else IFA_ADDRESS.
func parseAddress(body []byte, index int) (a address, ok bool) {
	if len(body) < unix.SizeofIfAddrmsg {
		return a, false
	}
	head := nl.DeserializeIfAddrmsg(body)
	if int(head.Index) != index {
		return a, false
	}
	var local, remote netip.Addr
	for kind, value := range attributes(body[unix.SizeofIfAddrmsg:]) {
		switch kind {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(value)
		case unix.IFA_ADDRESS:
			remote, _ = netip.AddrFromSlice(value)
		case unix.IFA_FLAGS:
			a.duplicate = number(value)&unix.IFA_F_DADFAILED != 0
		}
	}
	if !local.IsValid() {
		local = remote
	}
	a.prefix = netip.PrefixFrom(local, int(head.Prefixlen))
	return a, local.IsValid()
}

// addAddress and removeAddress say how it went with the kernel's errno: EEXIST, EADDRNOTAVAIL.
func (c *conn) addAddress(index int, prefix netip.Prefix, flags uint32) error {
	req := addressRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, index, prefix)
	if flags != 0 {
		req.AddData(nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(flags)))
	}
	if prefix.Addr().Is4() && prefix.Bits() < 31 { // RFC 3021: /31 has no broadcast address
		req.AddData(nl.NewRtAttr(unix.IFA_BROADCAST, broadcast(prefix)))
	}
	return c.socket.execute(req, nil)
}

func (c *conn) removeAddress(index int, prefix netip.Prefix) error {
	return c.socket.execute(addressRequest(unix.RTM_DELADDR, unix.NLM_F_ACK, index, prefix), nil)
}

func addressRequest(proto, flags, index int, prefix netip.Prefix) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(proto, flags)
	msg := nl.NewIfAddrmsg(familyOf(prefix.Addr()))
	msg.Index, msg.Prefixlen = uint32(index), uint8(prefix.Bits())
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, prefix.Addr().AsSlice()))
	req.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, prefix.Addr().AsSlice()))
	return req
}

func broadcast(prefix netip.Prefix) []byte {
	addr := prefix.Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		addr[bit/8] |= 0x80 >> (bit % 8)
	}
	return addr[:]
}

func familyOf(addr netip.Addr) int {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// hasIPv6 reports whether this kernel, or this namespace, knows IPv6.
func hasIPv6() bool {
	_, err := os.Stat(sysctl("ipv6"))
	return err == nil
}
