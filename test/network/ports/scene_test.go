package ports

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Addresses of the machine outside, and of the host towards it. The machine's default route is the host: what it cannot reach is blocked by rules,
// not by a missing route.
var (
	uplink  = addrs("203.0.113.1", "2001:db8:0:3::1")
	faraway = addrs("203.0.113.7", "2001:db8:0:3::7")
)

func addrs(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

// network is a network with its own bridge, cni<n>, and subnets 10.<n>.0.0/24 and fd00:<n>::/64.
type network struct {
	name string
	n    int
	keys map[string]any // additional or replaced keys of the configuration
}

func (n network) bridge() string { return fmt.Sprintf("cni%d", n.n) }

func (n network) subnets() []string {
	return []string{fmt.Sprintf("10.%d.0.0/24", n.n), fmt.Sprintf("fd00:%d::/64", n.n)}
}

// gateway returns the addresses of the bridge.
func (n network) gateway() []netip.Addr {
	return addrs(fmt.Sprintf("10.%d.0.1", n.n), fmt.Sprintf("fd00:%d::1", n.n))
}

// mapping is an item of portMappings.
type mapping struct {
	HostPort      uint16 `json:"hostPort"`
	ContainerPort uint16 `json:"containerPort"`
	Protocol      string `json:"protocol,omitempty"`
	HostIP        string `json:"hostIP,omitempty"`
	Range         int    `json:"range,omitempty"`
}

// port returns mappings to port 80 for TCP and UDP.
func port(number uint16) []mapping {
	return []mapping{{HostPort: number, ContainerPort: 80}, {HostPort: number, ContainerPort: 80, Protocol: "udp"}}
}

func (n network) config(ports []mapping) []byte {
	var ranges [][]map[string]string
	for _, s := range n.subnets() {
		ranges = append(ranges, []map[string]string{{"subnet": s}})
	}
	conf := map[string]any{
		"cniVersion": "1.1.0", "name": n.name, "type": "patchbay", "bridge": n.bridge(), "isDefaultGateway": true, "ipMasq": true,
		"ipam": map[string]any{"type": "patchbay", "ranges": ranges},
	}
	if len(ports) > 0 {
		conf["runtimeConfig"] = map[string]any{"portMappings": ports}
	}
	maps.Copy(conf, n.keys)
	text, err := json.Marshal(conf)
	if err != nil {
		panic(err)
	}
	return text
}

// scene is a host and a machine outside.
type scene struct {
	*nettest.Node
	outside *nettest.Container
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{Node: nettest.Host(t)}
	nettest.Need(t, nettest.NFTables, nettest.Tool("nft"))
	s.outside = s.Container("outside")
	s.Veth("up0", s.outside.Netns, "eth0")
	s.AddAddress("up0", uplink[0].String()+"/24", uplink[1].String()+"/64")
	s.outside.AddAddress("eth0", faraway[0].String()+"/24", faraway[1].String()+"/64")
	s.outside.AddRoute("0.0.0.0/0", uplink[0].String())
	s.outside.AddRoute("::/0", uplink[1].String())
	s.SetSysctl("net/ipv4/icmp_ratemask", "0") // no rate limit of ICMP errors: each closed port is reported
	s.SetSysctl("net/ipv6/icmp/ratemask", "0,3-127")
	s.Baseline()
	return s
}

// showBridged sets bridge-nf-call.
func (s *scene) showBridged(t *testing.T, value string) {
	t.Helper()
	nettest.Need(t, nettest.BrNetfilter)
	s.SetSysctl("net/bridge/bridge-nf-call-iptables", value)
	s.SetSysctl("net/bridge/bridge-nf-call-ip6tables", value)
}

// bridgeNetfilter runs a test with both values of bridge-nf-call.
func bridgeNetfilter(t *testing.T, run func(t *testing.T, s *scene, calls bool)) {
	for _, value := range []string{"0", "1"} {
		t.Run("bridge-nf-call="+value, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.showBridged(t, value)
			run(t, s, value == "1")
		})
	}
}

// box is a container on one or several networks.
type box struct {
	*nettest.Container
	addrs    []netip.Addr // IPv4, IPv6 of the first network, then of the next
	hostLink string       // its host interface, if a command attached it
}

// box creates and attaches a container. It is detached at the end of the test.
func (s *scene) box(t *testing.T, name string, n network, ports ...mapping) *box {
	t.Helper()
	b := &box{Container: s.Container(name)}
	s.attach(t, b, "eth0", n, ports...)
	return b
}

func call(command string, b *box, ifName string, config []byte) nettest.Call {
	return nettest.Call{Command: command, ContainerID: b.ID(), Netns: b.Path(), IfName: ifName, Config: config}
}

func (s *scene) attach(t *testing.T, b *box, ifName string, n network, ports ...mapping) {
	t.Helper()
	config := n.config(ports)
	for _, ip := range s.CNI(t, call("ADD", b, ifName, config)).Result(t).IPs {
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		b.addrs = append(b.addrs, addr.Unmap())
	}
	t.Cleanup(func() { s.CNI(t, call("DEL", b, ifName, config)).OK(t) })
}

// server attaches a container with a server on port 80.
func (s *scene) server(t *testing.T, name string, n network, ports ...mapping) *box {
	t.Helper()
	b := s.box(t, name, n, ports...)
	listen(t, b.Netns, b.addrs, 80)
	return b
}

func tcpAndUDP() []string { return []string{"tcp", "udp"} }

// at combines addresses with a port.
func at(number uint16, of ...netip.Addr) []netip.AddrPort {
	var all []netip.AddrPort
	for _, a := range of {
		all = append(all, netip.AddrPortFrom(a, number))
	}
	return all
}
