package diagram

import (
	"fmt"
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/pkg/topo"
)

func up(index int, name, kind string, prefixes ...string) link.SurveyLink {
	l := link.SurveyLink{Index: index, Name: name, Kind: kind, MTU: 1500, Up: true, Carrier: true, PeerNetns: -1, MAC: "02:00:00:00:00:01"}
	for _, p := range prefixes {
		l.Addresses = append(l.Addresses, link.SurveyAddress{Prefix: netip.MustParsePrefix(p), Permanent: true})
	}
	return l
}

func route(dev, gateway string, metric int) link.SurveyRoute {
	g := netip.MustParseAddr(gateway)
	return link.SurveyRoute{IPv6: g.Is6(), Gateway: g, Link: dev, Metric: metric}
}

// attached returns an attachment with a container interface of that name and these addresses.
func attached(index int, network, bridge, netns, ifname string, prefixes ...string) topo.Attachment {
	host, end := up(index, fmt.Sprintf("veth%011d", index), "veth"), up(2, ifname, "veth", prefixes...)
	return topo.Attachment{
		Network: network, ContainerID: fmt.Sprintf("id%d", index), IfName: ifname, Ours: true, Bridge: bridge, HostLink: &host, Netns: netns, Link: &end,
		Record: &store.Record{Role: store.RolePort, HostLink: host.Name},
	}
}

// hostWithMuch has every kind of box and line: a LAN, a tap, two networks of one container with metrics, ports, VLANs, limits, policies, a
// deleted host interface, namespaces that are not attached or cannot be entered, and an attachment of an unknown one.
func hostWithMuch() *topo.View {
	v := &topo.View{Host: topo.Host{
		Name: "lab", Links: []link.SurveyLink{up(9, "wlan0", "device", "203.0.113.20/24")}, Forward4: true, Forward6: true,
		Routes: []link.SurveyRoute{route("br0", "192.0.2.1", 0), route("br0", "2001:db8:0:1::1", 1024)},
	}}
	tap := up(8, "vnet0", "tun")
	tap.Carrier = false
	v.Bridges = []topo.Bridge{
		{SurveyLink: up(3, "br0", "bridge", "192.0.2.10/24", "2001:db8:0:1::10/64"), Ports: []topo.Port{{SurveyLink: up(2, "eth0", "device"), Uplink: true}, {SurveyLink: tap}}},
		{SurveyLink: up(10, "cni0", "bridge", "198.51.100.1/24"), Ours: true},
	}
	a := attached(4, "lan", "br0", "/run/netns/web", "eth0", "192.0.2.100/24", "2001:db8:1111:2222:3333:4444:5555:6666/128")
	a.Routes = []link.SurveyRoute{route("eth0", "192.0.2.1", 100), route("eth0", "2001:db8:1111:2222:3333:4444:5555:6666", 100)}
	a.Record.Pod = &store.Pod{Namespace: "default", Name: "web"}
	a.Record.Publish = &store.Publish{Ports: []store.Port{{Protocol: "tcp", HostPort: 8080, Container: netip.MustParseAddr("192.0.2.100"), ContainerPort: 80}}}
	a.LostPorts = a.Record.Publish.Ports
	a.Problems = []string{"map publish4 of nftables has lost tcp . 8080 (patchbay reload)"}
	b := attached(5, "backend", "cni0", "/run/netns/web", "net1", "198.51.100.2/24")
	b.Routes = []link.SurveyRoute{route("net1", "198.51.100.1", 200)}
	b.Record.VLANs = &store.VLANs{Native: 100, Trunk: []store.VLANRange{{First: 200, Last: 210}}}
	b.Record.Bandwidth = &store.Bandwidth{Ingress: &store.Rate{Rate: 10_000_000}, Egress: &store.Rate{Rate: 1_500_000_000, Burst: 1}}
	b.Record.Policy, b.Record.PortIsolation = "isolated", true
	gone := attached(6, "backend", "cni0", "/run/netns/gone", "eth0")
	gone.HostLink, gone.Link = nil, nil
	gone.Problems = []string{"host interface veth00000000006 does not exist; its record has bridge cni0"}
	lonely := attached(7, "backend", "cni0", "", "eth0")
	lonely.Link = nil
	loose := attached(11, "lan", "", "/run/netns/web", "net2")
	loose.HostLink.Carrier = false
	v.Attachments = []topo.Attachment{a, b, gone, lonely, loose}
	v.Namespaces = []topo.Namespace{
		{Name: "default/web", Path: "/run/netns/web", Links: []link.SurveyLink{*a.Link, up(4, "mv0", "macvlan", "192.0.2.140/24")}},
		{Name: "gone", Path: "/run/netns/gone"},
		{Name: "spare", Path: "/run/netns/spare"},
		{Name: "closed", Path: "/run/netns/closed", Error: "cannot enter"},
	}
	v.Problems = []topo.Problem{{About: "lan/id4/eth0", Text: a.Problems[0]}, {About: "backend/id6/eth0", Text: gone.Problems[0]}}
	v.Unseen = []string{"the inside of closed: entering a network namespace requires root"}
	return v
}

func hostsOfPages() []*topo.View { return []*topo.View{hostWithMuch(), hostileView()} }
