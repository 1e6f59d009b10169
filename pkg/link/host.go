package link

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Host is the network namespace of the process, in which the bridges are. It is not safe for use by
// several goroutines at the same time.
type Host struct {
	*conn
}

// OpenHost opens a rtnetlink socket in the network namespace of the calling thread.
func OpenHost() (*Host, error) {
	c, err := dial(ownNamespace())
	if err != nil {
		return nil, err
	}
	return &Host{conn: c}, nil
}

// Close closes the sockets.
func (h *Host) Close() { h.close() }

// Link looks up an interface of the host by name. Errors wrap ErrNotFound.
func (h *Host) Link(name string) (*Link, error) { return h.byName(name) }

// LinkAt looks up an interface of the host by index. Errors wrap ErrNotFound.
func (h *Host) LinkAt(index int) (*Link, error) {
	l, err := h.get(index)
	if errors.Is(err, unix.ENODEV) {
		return nil, fmt.Errorf("interface %d: %w", index, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("look up interface %d: %w", index, err)
	}
	return l, nil
}

// Addresses returns the addresses of one interface, given by its index. The kernel filters the dump by
// interface since Linux 4.20, if the socket asks for strict checking; entries of other interfaces that
// an older kernel sends are ignored.
//
// A dump that was interrupted is used as it is (NLM_F_DUMP_INTR). On a busy host the kernel
// sets the flag whenever another ADD changes an address anywhere in the namespace. The
// addresses of one interface nearly always fit into one message of the dump, and are
// consistent within it.
func (c *conn) Addresses(index int) ([]netip.Prefix, error) {
	found, err := c.addresses(index, unix.AF_UNSPEC)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list addresses of the interface with index %d: %w", index, err)
	}
	addrs := make([]netip.Prefix, 0, len(found))
	for _, f := range found {
		addrs = append(addrs, f.prefix)
	}
	return addrs, nil
}

// address is an address of an interface as the kernel reports it.
type address struct {
	prefix    netip.Prefix
	duplicate bool  // the kernel has found another host with it
	protocol  uint8 // who added it, as far as that program said
}

// addresses dumps the addresses of an interface, of one family or of both (AF_UNSPEC).
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

// parseAddress reads the body of an RTM_NEWADDR of the interface. IPv6 sends the address in IFA_ADDRESS
// only; IPv4 sends it in IFA_LOCAL, and that of the peer in IFA_ADDRESS. IFA_FLAGS has the flags beyond
// the eight of struct ifaddrmsg (Linux 3.14).
func parseAddress(body []byte, index int) (a address, ok bool) {
	if len(body) < unix.SizeofIfAddrmsg {
		return a, false
	}
	head := nl.DeserializeIfAddrmsg(body)
	if int(head.Index) != index {
		return a, false
	}
	var local, remote netip.Addr
	for kind, value := range nlsock.Attributes(body[unix.SizeofIfAddrmsg:]) {
		switch kind {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(value)
		case unix.IFA_ADDRESS:
			remote, _ = netip.AddrFromSlice(value)
		case unix.IFA_FLAGS:
			a.duplicate = number(value)&unix.IFA_F_DADFAILED != 0
		case ifaProto:
			if len(value) == 1 {
				a.protocol = value[0]
			}
		}
	}
	if !local.IsValid() {
		local = remote
	}
	a.prefix = netip.PrefixFrom(local, int(head.Prefixlen))
	return a, local.IsValid()
}

const ifaProto = 11 // IFA_PROTO, linux/if_addr.h, Linux 5.18

// addressSettings are the properties of an address besides its prefix.
type addressSettings struct {
	flags    uint32 // IFA_F_*
	protocol uint8  // 0 for none
}

// addAddress adds an address. Errors are the kernel's errno: EEXIST if the interface has it.
//
// The flags go into IFA_FLAGS: struct ifaddrmsg has eight bits for them. IFA_F_NODAD would
// fit, but the kernel takes the attribute alone if it is present.
func (c *conn) addAddress(index int, prefix netip.Prefix, with addressSettings) error {
	req := addressRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, index, prefix)
	if with.flags != 0 {
		req.AddData(nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(with.flags)))
	}
	if with.protocol != 0 {
		req.AddData(nl.NewRtAttr(ifaProto, nl.Uint8Attr(with.protocol)))
	}
	if prefix.Addr().Is4() && prefix.Bits() < 31 { // RFC 3021: /31 has no broadcast address
		req.AddData(nl.NewRtAttr(unix.IFA_BROADCAST, broadcast(prefix)))
	}
	return c.socket.execute(req, nil)
}

// removeAddress removes an address. Errors are the kernel's errno: EADDRNOTAVAIL if it is not present.
func (c *conn) removeAddress(index int, prefix netip.Prefix) error {
	return c.socket.execute(addressRequest(unix.RTM_DELADDR, unix.NLM_F_ACK, index, prefix), nil)
}

func addressRequest(proto, flags, index int, prefix netip.Prefix) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(proto, flags)
	msg := nl.NewIfAddrmsg(familyOf(prefix.Addr()))
	msg.Index, msg.Prefixlen = uint32(index), uint8(prefix.Bits())
	req.AddData(msg)
	// Both attributes, as ip(8) sends them: IPv4 takes the address from IFA_LOCAL and the
	// subnet from IFA_ADDRESS; IPv6 takes either, and one that differs is a peer.
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, prefix.Addr().AsSlice()))
	req.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, prefix.Addr().AsSlice()))
	return req
}

// broadcast returns the broadcast address of an IPv4 prefix. The kernel does not derive it for an address
// that is added by rtnetlink.
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
