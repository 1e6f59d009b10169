package link

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Survey is a copy of the links, addresses and default routes of one network namespace, for the commands
// that draw or diagnose it. No CNI verb takes one: it dumps all links.
type Survey struct {
	Links  []SurveyLink  // by index
	Routes []SurveyRoute // default routes of the main table, best metric first within a family

	Forward4, Forward6 bool // net.ipv4.ip_forward, net.ipv6.conf.all.forwarding

	Cookie uint64 // SO_NETNS_COOKIE; 0 before Linux 5.14
	// PeerID is the ID of this namespace in the caller's one, which SurveyLink.PeerNetns refers to; -1
	// if it has none there. Always -1 from SurveyHost.
	PeerID int
}

// ErrSurveyEntry is wrapped by errors about a namespace that exists but cannot be entered: setns(2)
// requires CAP_SYS_ADMIN in the user namespace that owns it.
var ErrSurveyEntry = errors.New("inaccessible network namespace")

// SurveyLink is one interface.
type SurveyLink struct {
	Index   int    `json:"index"`
	Name    string `json:"name"`
	Kind    string `json:"kind"` // as in "ip -d link": veth, bridge, vlan...; "device" for hardware and lo
	Alias   string `json:"alias,omitempty"`
	MAC     string `json:"mac,omitempty"`
	MTU     int    `json:"mtu"`              // bytes
	Up      bool   `json:"up"`               // administratively: IFF_UP
	Carrier bool   `json:"carrier"`          // IFF_LOWER_UP: for a veth, the other end is up too
	Master  int    `json:"master,omitempty"` // index of the bridge it is a port of; 0: none

	// Peer is the index of the other end of a veth (or of the interface below a vlan). PeerNetns is the
	// ID of the namespace in which it is: -1 for this one, else compare Survey.PeerID.
	Peer      int `json:"peer,omitempty"`
	PeerNetns int `json:"peerNetns"`

	Addresses []SurveyAddress `json:"addresses,omitempty"`
}

// SurveyAddress is one address of an interface, with its prefix length. Failed means that duplicate
// address detection found another host with it.
type SurveyAddress struct {
	Prefix    netip.Prefix `json:"address"`
	Permanent bool         `json:"permanent"` // without a lifetime; false: learned (SLAAC, DHCP)
	Failed    bool         `json:"failed,omitempty"`
}

// SurveyRoute is one default route, or one hop of a multipath default route.
type SurveyRoute struct {
	IPv6    bool       `json:"ipv6"`
	Gateway netip.Addr `json:"gateway,omitzero"` // invalid: straight onto the link
	Link    string     `json:"link"`
	Metric  int        `json:"metric"`
}

// SurveyHost reads the namespace of the process, in one dump each of links, addresses and routes. It
// changes nothing and needs no privilege. Errors name the dump; if the host kept changing during it,
// they wrap netlink.ErrDumpInterrupted.
func SurveyHost() (*Survey, error) {
	h, err := OpenHost()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	s, err := h.survey()
	if err != nil {
		return nil, err
	}
	s.Forward4, s.Forward6 = h.Forwarding(true), h.Forwarding(false)
	return s, nil
}

// SurveyNetns reads the namespace at a path, which may be the host's own. Errors wrap ErrNoNetns,
// ErrNotNetns (also for the plain file that a reboot leaves of a named namespace) or ErrSurveyEntry. With
// ErrSurveyEntry it returns a Survey in which only PeerID is set.
func SurveyNetns(path string) (*Survey, error) {
	sandbox, err := OpenSandbox(path, true)
	if errors.Is(err, ErrNoNetns) || errors.Is(err, ErrNotNetns) {
		return nil, err
	}
	if err != nil {
		return &Survey{PeerID: surveyPeerID(path)}, fmt.Errorf("%w: %w", ErrSurveyEntry, err)
	}
	defer sandbox.Close()
	s, err := sandbox.survey()
	if err != nil {
		return nil, fmt.Errorf("read network namespace %s: %w", path, err)
	}
	s.PeerID = surveyPeerID(path)
	return s, nil
}

// surveyPeerID returns the ID of the namespace at a path in the caller's namespace; -1 if it has none.
// It needs no privilege. The kernel assigns the ID when a link first refers to the namespace, so it is
// read after the dump of the links.
func surveyPeerID(path string) int {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0) // O_NONBLOCK: it may be a FIFO by now
	if err != nil {
		return -1
	}
	defer unix.Close(fd)
	id, err := netlink.GetNetNsIdByFd(fd)
	if err != nil {
		return -1
	}
	return id
}

// Link returns the interface with an index; nil if there is none.
func (s *Survey) Link(index int) *SurveyLink {
	i, found := slices.BinarySearchFunc(s.Links, index, func(l SurveyLink, n int) int { return cmp.Compare(l.Index, n) })
	if !found {
		return nil
	}
	return &s.Links[i]
}

// survey dumps links, addresses and default routes.
//
// The three dumps are not one snapshot: rtnetlink has none. An address or a route of a link
// that is not in the first dump is dropped or named by its index.
func (c *conn) survey() (*Survey, error) {
	s := &Survey{PeerID: -1, Cookie: c.cookie}
	library, err := c.dumper()
	if err != nil {
		return nil, err
	}
	if err := s.readLinks(library); err != nil {
		return nil, err
	}
	if err := s.readAddresses(library); err != nil {
		return nil, err
	}
	return s, s.readRoutes(library)
}

func (s *Survey) readLinks(h *netlink.Handle) error {
	links, err := surveyDump("links", h.LinkList)
	if err != nil {
		return err
	}
	for _, l := range links {
		s.Links = append(s.Links, surveyLink(l))
	}
	slices.SortFunc(s.Links, func(a, b SurveyLink) int { return cmp.Compare(a.Index, b.Index) })
	return nil
}

func surveyLink(l netlink.Link) SurveyLink {
	a := l.Attrs()
	return SurveyLink{
		Index: a.Index, Name: a.Name, Kind: l.Type(), Alias: a.Alias,
		MAC: a.HardwareAddr.String(), MTU: a.MTU,
		Up: a.Flags&net.FlagUp != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0,
		Master: a.MasterIndex, Peer: a.ParentIndex, PeerNetns: a.NetNsID,
	}
}

func (s *Survey) readAddresses(h *netlink.Handle) error {
	addrs, err := surveyDump("addresses", func() ([]netlink.Addr, error) {
		return h.AddrList(nil, netlink.FAMILY_ALL)
	})
	if err != nil {
		return err
	}
	for _, a := range addrs {
		prefix, ok := surveyPrefix(a.IPNet)
		l := s.Link(a.LinkIndex)
		if !ok || l == nil {
			continue // a link that was created between the two dumps
		}
		l.Addresses = append(l.Addresses, SurveyAddress{
			Prefix:    prefix,
			Permanent: a.Flags&unix.IFA_F_PERMANENT != 0,
			Failed:    a.Flags&unix.IFA_F_DADFAILED != 0,
		})
	}
	return nil
}

func (s *Survey) readRoutes(h *netlink.Handle) error {
	routes, err := surveyDump("routes", func() ([]netlink.Route, error) { return surveyDefaults(h) })
	if err != nil {
		return err
	}
	for i := range routes {
		s.Routes = append(s.Routes, s.hops(&routes[i])...)
	}
	slices.SortStableFunc(s.Routes, func(a, b SurveyRoute) int {
		switch {
		case a.IPv6 == b.IPv6:
			return cmp.Compare(a.Metric, b.Metric)
		case b.IPv6:
			return -1
		}
		return 1
	})
	return nil
}

// surveyDefaults returns the default routes of the main table. It filters during the dump: a router may
// have a million other routes, and the kernel has no dump filter for the destination.
func surveyDefaults(h *netlink.Handle) ([]netlink.Route, error) {
	var kept []netlink.Route
	filter := &netlink.Route{Table: unix.RT_TABLE_MAIN}
	err := h.RouteListFilteredIter(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_TABLE, func(r netlink.Route) bool {
		prefix, ok := surveyPrefix(r.Dst)
		if r.Type == unix.RTN_UNICAST && (r.Dst == nil || ok && prefix.Bits() == 0) {
			kept = append(kept, r)
		}
		return true
	})
	return kept, err
}

// hops returns a route, or each hop of a multipath route.
func (s *Survey) hops(r *netlink.Route) []SurveyRoute {
	v6 := r.Family == netlink.FAMILY_V6
	if len(r.MultiPath) == 0 {
		return []SurveyRoute{{IPv6: v6, Gateway: surveyGateway(r.Gw, r.Via), Link: s.linkName(r.LinkIndex), Metric: r.Priority}}
	}
	var hops []SurveyRoute
	for _, n := range r.MultiPath {
		hops = append(hops, SurveyRoute{IPv6: v6, Gateway: surveyGateway(n.Gw, n.Via), Link: s.linkName(n.LinkIndex), Metric: r.Priority})
	}
	return hops
}

func (s *Survey) linkName(index int) string {
	if l := s.Link(index); l != nil {
		return l.Name
	}
	return fmt.Sprintf("if%d", index)
}

// surveyGateway returns the gateway of a route: RTA_GATEWAY of the route's own family, or RTA_VIA of
// another one.
func surveyGateway(gw net.IP, via netlink.Destination) netip.Addr {
	if v, ok := via.(*netlink.Via); ok && v != nil {
		gw = v.Addr
	}
	addr, _ := netip.AddrFromSlice(gw)
	return addr.Unmap()
}

func surveyPrefix(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones), ok && bits > 0
}

// surveyDump calls dump again while the kernel reports that the list changed during it
// (NLM_F_DUMP_INTR), at most maxDumps times.
func surveyDump[T any](what string, dump func() ([]T, error)) ([]T, error) {
	var got []T
	var err error
	for range maxDumps {
		if got, err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("dump %s: %w", what, err)
	}
	return got, nil
}
