package link

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Survey is what one network namespace holds, as far as a picture of it needs: plain values,
// a copy of the moment. It is for people's commands; no verb of CNI takes one.
type Survey struct {
	Links  []SurveyLink  // by index
	Routes []SurveyRoute // default routes of the main table, best metric first within a family

	Forward4, Forward6 bool // net.ipv4.ip_forward, net.ipv6.conf.all.forwarding

	Cookie uint64 // SO_NETNS_COOKIE; 0 before Linux 5.14
	// PeerID is how the namespace of the caller names this one in SurveyLink.PeerNetns;
	// -1 if it has no name there. Always -1 from SurveyHost.
	PeerID int
}

// ErrSurveyEntry is wrapped where there is a namespace but no way in: setns(2) takes
// CAP_SYS_ADMIN over it.
var ErrSurveyEntry = errors.New("cannot enter")

// SurveyLink is one interface.
type SurveyLink struct {
	Index   int    `json:"index"`
	Name    string `json:"name"`
	Kind    string `json:"kind"` // as `ip -d link` says it: veth, bridge, vlan...; "device" for hardware and lo
	Alias   string `json:"alias,omitempty"`
	MAC     string `json:"mac,omitempty"`
	MTU     int    `json:"mtu"`              // bytes
	Up      bool   `json:"up"`               // administratively: IFF_UP
	Carrier bool   `json:"carrier"`          // IFF_LOWER_UP: for a veth, the other end is up too
	Master  int    `json:"master,omitempty"` // index of the bridge it is a port of; 0: none

	// Peer is the index of the other end of a veth (or of the interface below a vlan);
	// PeerNetns says where: -1 in this same namespace, else compare Survey.PeerID.
	Peer      int `json:"peer,omitempty"`
	PeerNetns int `json:"peerNetns"`

	Addresses []SurveyAddress `json:"addresses,omitempty"`
}

// SurveyAddress is one address of an interface, with its prefix length.
type SurveyAddress struct {
	Prefix    netip.Prefix `json:"address"`
	Permanent bool         `json:"permanent"` // set by somebody; false: learned (SLAAC, DHCP with a lifetime)
	Failed    bool         `json:"failed,omitempty"`
}

// SurveyRoute is one default route, or one hop of it where it has several.
type SurveyRoute struct {
	IPv6    bool       `json:"ipv6"`
	Gateway netip.Addr `json:"gateway,omitzero"` // invalid: straight onto the link
	Link    string     `json:"link"`
	Metric  int        `json:"metric"`
}

// SurveyHost looks at the namespace of the process: one dump each of links, addresses and
// routes, nothing changed. It needs no privilege. Errors name the dump; one that changes of
// the host kept interrupting is netlink.ErrDumpInterrupted at heart.
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

// SurveyNetns looks into the namespace behind path, which may be the host's own. Errors wrap
// ErrNoNetns, ErrNotNetns (also a pin that a restart of the machine left as a plain file) or
// ErrSurveyEntry; with the last one comes a Survey that has PeerID alone.
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
		return nil, fmt.Errorf("look into %s: %w", path, err)
	}
	s.PeerID = surveyPeerID(path)
	return s, nil
}

// surveyPeerID asks the caller's namespace how it numbers the one behind path. No privilege
// is needed. The kernel gives the number when a link first needs one: ask after the dump.
func surveyPeerID(path string) int {
	f, err := os.Open(path)
	if err != nil {
		return -1
	}
	defer f.Close()
	id, err := netlink.GetNetNsIdByFd(int(f.Fd()))
	if err != nil {
		return -1
	}
	return id
}

// Link returns the interface of that index, nil if there is none.
func (s *Survey) Link(index int) *SurveyLink {
	i, found := slices.BinarySearchFunc(s.Links, index, func(l SurveyLink, n int) int { return cmp.Compare(l.Index, n) })
	if !found {
		return nil
	}
	return &s.Links[i]
}

// survey is the three dumps of one namespace.
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
			continue // a link born between the two dumps
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

// surveyDefaults keeps only the default routes of the dump as it passes: a router may have a
// million others, and the kernel has no filter on the destination.
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

// surveyGateway knows both forms of a gateway: of the route's own family, and RTA_VIA of another.
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

// surveyTries is how often a dump is begun anew when the kernel says that what it walks over
// changed meanwhile (NLM_F_DUMP_INTR).
const surveyTries = 5

func surveyDump[T any](what string, dump func() ([]T, error)) ([]T, error) {
	var got []T
	var err error
	for range surveyTries {
		if got, err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("dump %s: %w", what, err)
	}
	return got, nil
}
