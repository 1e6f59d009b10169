package noderoute

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Protocol is rtm_protocol of the routes of this package, by which they are found again: `ip route show proto 112`. No program is known
// to use the number (iproute2, etc/iproute2/rt_protos).
const Protocol = 112

// Errors of Add and AddBeside.
var (
	ErrTaken     = errors.New("another program has a route to this destination")
	ErrNotDirect = errors.New("the gateway is on no network of this host")
)

// Route is a route of the main table with the protocol of this package.
type Route struct {
	Dst  netip.Prefix
	Via  netip.Addr // zero: none
	Link int        // index of the interface; List sets it always
}

// Table is a connection to the main routing tables of IPv4 and IPv6 in one network namespace. It is for one goroutine.
type Table struct {
	socket *nlsock.Socket
}

// Open opens a socket in the network namespace of the calling thread. Close it when done.
func Open() (*Table, error) {
	s, err := nlsock.Open(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	return &Table{s}, nil
}

// Close closes the socket.
func (t *Table) Close() { t.socket.Close() }

// dumpTries is how often a dump is repeated that other changes of routes have interrupted.
const dumpTries = 10

// List returns the routes, one for each next hop: two by one destination are in the middle of a move. The kernel selects them by table and
// protocol (strict checking, Linux 4.20), so that a million routes of a router are not copied.
func (t *Table) List() ([]Route, error) {
	var all []Route
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		of, err := t.list(family)
		for tries := 1; errors.Is(err, nlsock.ErrInterrupted) && tries < dumpTries; tries++ {
			of, err = t.list(family)
		}
		if err != nil && !(family == unix.AF_INET6 && errors.Is(err, unix.EOPNOTSUPP)) { // a kernel without IPv6
			return nil, fmt.Errorf("list routes to other nodes: %w", err)
		}
		all = append(all, of...)
	}
	return all, nil
}

// list dumps one family.
func (t *Table) list(family byte) (all []Route, err error) {
	for m, err := range t.socket.Execute(dump(family)) {
		if err != nil {
			return nil, err
		}
		all = append(all, parse(m.Data)...)
	}
	return all, nil
}

// dump returns the request for the routes of one family: the kernel compares table, protocol and type.
func dump(family byte) nlsock.Message {
	head := header{family: family, table: unix.RT_TABLE_MAIN, protocol: Protocol, kind: unix.RTN_UNICAST}
	return nlsock.Message{Type: unix.RTM_GETROUTE, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP, Data: head.bytes()}
}

// Add adds a route to a destination that has none. Without a Link the kernel finds the interface by the gateway, and refuses one that no
// connected route covers. With one it takes the gateway to be behind that interface (RTNH_F_ONLINK), and does not look at its address; for
// IPv6 it has to be a link-local one. Errors wrap ErrTaken if another program has a route with the same metric, ErrNotDirect if the gateway
// can only be reached by another gateway.
func (t *Table) Add(r Route) error { return t.add(r, unix.NLM_F_EXCL) }

// AddBeside adds a route to a destination that has one of List by another gateway or interface, which is deleted next. Until then IPv4 uses
// the old one, and IPv6 both. Errors wrap ErrNotDirect as those of Add.
func (t *Table) AddBeside(r Route) error { return t.add(r, unix.NLM_F_APPEND) }

// add adds a route.
func (t *Table) add(r Route, flag uint16) error {
	head := header{scope: unix.RT_SCOPE_UNIVERSE}
	if r.Link != 0 && r.Via.Is4() {
		head.flags = unix.RTNH_F_ONLINK
	}
	err := t.change(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|flag, r, head)
	switch {
	case errors.Is(err, unix.EEXIST):
		err = ErrTaken
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		err = ErrNotDirect
	}
	if err != nil {
		return fmt.Errorf("add route to %s by %s: %w", r.Dst, r.Via, err)
	}
	return nil
}

// Delete deletes exactly this route. One that does not exist is no error.
func (t *Table) Delete(r Route) error {
	err := t.change(unix.RTM_DELROUTE, 0, r, header{scope: unix.RT_SCOPE_NOWHERE}) // any scope
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("delete route to %s by %s: %w", r.Dst, r.Via, err)
	}
	return nil
}

// change sends a request about one route, with the scope and flags of a header. The protocol in it is also what a deletion compares.
func (t *Table) change(kind, flags uint16, r Route, head header) error {
	head.family, head.bits = familyOf(r.Dst.Addr()), byte(r.Dst.Bits())
	head.table, head.protocol, head.kind = unix.RT_TABLE_MAIN, Protocol, unix.RTN_UNICAST
	data := nlsock.AppendAttribute(head.bytes(), unix.RTA_DST, r.Dst.Addr().AsSlice())
	if r.Via.IsValid() {
		data = nlsock.AppendAttribute(data, unix.RTA_GATEWAY, r.Via.AsSlice())
	}
	if r.Link != 0 {
		data = nlsock.AppendAttribute(data, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(r.Link)))
	}
	request := nlsock.Message{Type: kind, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK | flags, Data: data}
	for _, err := range t.socket.Execute(request) {
		return err
	}
	return nil
}

// Owner returns the protocol (RTPROT_*) of the route to exactly this destination that packets take: after ErrTaken that of the other
// program. It is 0 if packets take another route.
func (t *Table) Owner(dst netip.Prefix) (protocol int, err error) {
	addr := dst.Addr()
	if !dst.IsSingleIP() {
		addr = addr.Next() // the first one of an IPv6 network is the anycast address of routers
	}
	head := header{family: familyOf(addr), bits: byte(addr.BitLen()), flags: unix.RTM_F_FIB_MATCH}
	request := nlsock.Message{
		Type: unix.RTM_GETROUTE, Flags: unix.NLM_F_REQUEST,
		Data: nlsock.AppendAttribute(head.bytes(), unix.RTA_DST, addr.AsSlice()),
	}
	for m, err := range t.socket.Execute(request) {
		if err != nil {
			return 0, fmt.Errorf("look up the route to %s: %w", dst, err)
		}
		if len(m.Data) >= unix.SizeofRtMsg && int(m.Data[bitsAt]) == dst.Bits() {
			return int(m.Data[protocolAt]), nil
		}
	}
	return 0, nil
}

// Direct reports whether this host sends packets to an address without a router, by the rules and tables of the kernel. It is false for an
// address of the host, and for one without a route.
func (t *Table) Direct(addr netip.Addr) (bool, error) {
	head := header{family: familyOf(addr), bits: byte(addr.BitLen())}
	request := nlsock.Message{
		Type: unix.RTM_GETROUTE, Flags: unix.NLM_F_REQUEST,
		Data: nlsock.AppendAttribute(head.bytes(), unix.RTA_DST, addr.AsSlice()),
	}
	for m, err := range t.socket.Execute(request) {
		if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL) {
			return false, nil // no route, or one of the types unreachable, prohibit and blackhole
		}
		if err != nil {
			return false, fmt.Errorf("look up the route to %s: %w", addr, err)
		}
		if len(m.Data) < unix.SizeofRtMsg {
			continue
		}
		attributes := m.Data[unix.SizeofRtMsg:]
		routed := nlsock.Attribute(attributes, unix.RTA_GATEWAY) != nil || nlsock.Attribute(attributes, unix.RTA_VIA) != nil
		return m.Data[kindAt] == unix.RTN_UNICAST && !routed, nil
	}
	return false, nil
}

func familyOf(addr netip.Addr) byte {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
