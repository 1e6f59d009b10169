package nettest

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// addFDB adds the permanent unicast entries of forwarding databases. Group
// addresses are those the interface itself listens to.
func (s *Snapshot) addFDB(h *netlink.Handle) error {
	list, err := dump(func() ([]netlink.Neigh, error) {
		return h.NeighListExecute(netlink.Ndmsg{Family: unix.AF_BRIDGE})
	})
	if err != nil {
		return fmt.Errorf("fdb: %w", err)
	}
	for _, e := range list {
		group := len(e.HardwareAddr) > 0 && e.HardwareAddr[0]&1 != 0
		if e.State&netlink.NUD_PERMANENT == 0 || group {
			continue
		}
		link := s.names.of(e.LinkIndex)
		s.set(link, "master "+s.names.of(e.MasterIndex), "fdb", link, e.HardwareAddr.String(), "vlan", strconv.Itoa(e.Vlan))
	}
	return nil
}

// Attributes and layout of RTM_GETMDB, <linux/if_bridge.h>.
const (
	mdbaMDB          = 1 // the table of one bridge
	mdbaEntry        = 1 // one group in it
	mdbaEntryInfo    = 1 // struct br_mdb_entry
	mdbEntryLen      = 28
	mdbPermanent     = 1
	brPortMsgLen     = 8
	mdbOffState      = 4
	mdbOffVlan       = 6
	mdbOffAddress    = 8
	mdbOffProto      = 24
	mdbBridgeOffset  = 4 // ifindex in struct br_port_msg
	mdbEthertypeIPv6 = unix.ETH_P_IPV6
)

// addMDB adds the permanent entries of multicast databases; those that
// snooping learns come and go. It must run inside the namespace.
func (s *Snapshot) addMDB() error {
	req := nl.NewNetlinkRequest(unix.RTM_GETMDB, unix.NLM_F_DUMP)
	req.AddRawData(append([]byte{unix.AF_BRIDGE}, make([]byte, brPortMsgLen-1)...))
	list, err := dump(func() ([][]byte, error) { return req.Execute(unix.NETLINK_ROUTE, 0) })
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil // a kernel without multicast snooping has no such table
	}
	if err != nil {
		return fmt.Errorf("mdb: %w", err)
	}
	for _, msg := range list {
		bridge := s.names.of(int(nl.NativeEndian().Uint32(msg[mdbBridgeOffset:])))
		for _, e := range mdbEntries(msg[brPortMsgLen:]) {
			s.addMDBEntry(bridge, e)
		}
	}
	return nil
}

// mdbEntries returns every struct br_mdb_entry of a message.
func mdbEntries(b []byte) [][]byte {
	for _, kind := range []uint16{mdbaMDB, mdbaEntry} {
		b = nested(b, kind)
	}
	var out [][]byte
	attrs, _ := nl.ParseRouteAttr(b)
	for _, a := range attrs {
		if a.Attr.Type&nl.NLA_TYPE_MASK == mdbaEntryInfo && len(a.Value) >= mdbEntryLen {
			out = append(out, a.Value)
		}
	}
	return out
}

// nested returns the contents of all attributes of a kind, one after the other.
func nested(b []byte, kind uint16) []byte {
	var out []byte
	attrs, _ := nl.ParseRouteAttr(b)
	for _, a := range attrs {
		if a.Attr.Type&nl.NLA_TYPE_MASK == kind {
			out = append(out, a.Value...)
		}
	}
	return out
}

func (s *Snapshot) addMDBEntry(bridge string, e []byte) {
	if e[mdbOffState] != mdbPermanent {
		return
	}
	order := nl.NativeEndian()
	group := net.IP(e[mdbOffAddress : mdbOffAddress+4])
	if uint16(e[mdbOffProto])<<8|uint16(e[mdbOffProto+1]) == mdbEthertypeIPv6 {
		group = net.IP(e[mdbOffAddress : mdbOffAddress+16])
	}
	port := s.names.of(int(order.Uint32(e)))
	vlan := order.Uint16(e[mdbOffVlan:])
	s.set(bridge, "permanent", "mdb", strings.Join([]string{bridge, port, group.String(), fmt.Sprint(vlan)}, " "))
}
