package attacks

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Addresses of the scene, IPv4 first.
var (
	Uplink  = addrs("203.0.113.1", "2001:db8:0:3::1")
	Faraway = addrs("203.0.113.7", "2001:db8:0:3::7")
	Gateway = addrs("10.95.0.1", "fd00:95::1")
)

// Ports: Published leads to the victim's Inside from everywhere, Private from the host's 127.0.0.1 alone.
const (
	Published = 8080
	Private   = 8081
	Inside    = 80
	Service   = 7000 // of the host, on the gateway's address
)

// Bridges: that of the victim and the attacker, and the stranger's.
const (
	Bridge = "cni95"
	Other  = "cni96"
)

// Patience is how long to wait for what must come.
const Patience = 20 * time.Second

func addrs(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

// Box is a container.
type Box struct {
	*nettest.Container
	Addrs  []netip.Addr // IPv4, IPv6
	MAC    net.HardwareAddr
	Port   string // its port of the bridge
	Result []byte // what ADD printed
	Config []byte
	Ear    *Ear

	programs string // CNI_PATH; "" for the plugin's own directory
}

// Call is a call of the plugin about the container.
func (b *Box) Call(command string) nettest.Call {
	return nettest.Call{Command: command, ContainerID: b.ID(), Netns: b.Path(), IfName: "eth0", Config: b.Config, Path: b.programs}
}

// Scene is a host with a victim and an attacker on one network, a stranger on another, and a machine outside.
type Scene struct {
	*nettest.Node
	T                          *testing.T
	Victim, Attacker, Stranger *Box
	Outside                    *nettest.Container
	OutsideEar, HostEar        *Ear
	HostMAC, UplinkMAC         net.HardwareAddr // of Bridge and of the uplink
	OtherMAC                   net.HardwareAddr

	mu     sync.Mutex
	served map[string]bool // what the host's service got
}

// NewHost makes the host and the machine outside.
func NewHost(t *testing.T) *Scene {
	t.Helper()
	s := &Scene{Node: nettest.Host(t), T: t}
	nettest.Need(t, nettest.NFTables, nettest.Tool("nft"), nettest.Tool("bridge"))
	s.Outside = s.Container("outside")
	s.Veth("up0", s.Outside.Netns, "eth0")
	s.AddAddress("up0", Uplink[0].String()+"/24", Uplink[1].String()+"/64")
	s.Outside.AddAddress("eth0", Faraway[0].String()+"/24", Faraway[1].String()+"/64")
	s.Outside.AddRoute("0.0.0.0/0", Uplink[0].String())
	s.Outside.AddRoute("::/0", Uplink[1].String())
	s.UplinkMAC = MAC(s.MAC("up0"))
	s.Baseline()
	return s
}

// NewScene is NewHost with containers, on a network with some more keys.
func NewScene(t *testing.T, keys map[string]any) *Scene {
	t.Helper()
	s := NewHost(t)
	s.Attach(keys)
	return s
}

// Attach makes and attaches the containers.
func (s *Scene) Attach(keys map[string]any) {
	s.T.Helper()
	other := map[string]any{"name": "other", "bridge": Other, "ipam": pool("10.96.0.0/24", "fd00:96::/64")}
	s.Victim = s.Box("victim", Config(keys, mapping(Published, ""), mapping(Private, "127.0.0.1")))
	s.Attacker = s.Box("attacker", Config(keys))
	s.Stranger = s.Box("stranger", Config(other))
	s.HostMAC, s.OtherMAC = MAC(s.MAC(Bridge)), MAC(s.MAC(Other))
	s.SetSysctl("net/ipv4/neigh/"+Bridge+"/locktime", "0")
	s.Victim.SetSysctl("net/ipv4/neigh/eth0/locktime", "0")
	s.serve()
	s.OutsideEar, s.HostEar = Listen(s.T, s.Outside.Netns, "eth0"), Listen(s.T, s.Netns, Bridge)
}

func pool(subnets ...string) map[string]any {
	var ranges [][]map[string]string
	for _, subnet := range subnets {
		ranges = append(ranges, []map[string]string{{"subnet": subnet}})
	}
	return map[string]any{"type": "patchbay", "ranges": ranges}
}

func mapping(port int, hostIP string) map[string]any {
	m := map[string]any{"hostPort": port, "containerPort": Inside, "protocol": "udp"}
	if hostIP != "" {
		m["hostIP"] = hostIP
	}
	return m
}

// Config is a configuration of the victim's network, with some more keys, and ports.
func Config(keys map[string]any, ports ...map[string]any) []byte {
	conf := map[string]any{
		"cniVersion": "1.1.0", "name": "tenants", "type": "patchbay", "bridge": Bridge, "isDefaultGateway": true, "ipMasq": true,
		"ipam": pool("10.95.0.0/24", "fd00:95::/64"),
	}
	if len(ports) > 0 {
		conf["runtimeConfig"] = map[string]any{"portMappings": ports}
	}
	maps.Copy(conf, keys)
	text, err := json.Marshal(conf)
	if err != nil {
		panic(err)
	}
	return text
}

// Box makes a container and attaches it; it is detached when the test ends.
func (s *Scene) Box(name string, config []byte) *Box {
	s.T.Helper()
	return s.attach(&Box{Container: s.Container(name), Config: config})
}

// BoxBy is Box for a configuration that names another IPAM plugin, by the path of its program.
func (s *Scene) BoxBy(name string, config []byte, program string) *Box {
	s.T.Helper()
	return s.attach(&Box{Container: s.Container(name), Config: config, programs: filepath.Dir(program)})
}

func (s *Scene) attach(b *Box) *Box {
	s.T.Helper()
	answer := s.CNI(s.T, b.Call("ADD"))
	result := answer.Result(s.T)
	for _, ip := range result.IPs {
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		b.Addrs = append(b.Addrs, addr.Unmap())
	}
	b.Result, b.Port, b.MAC = answer.Stdout, result.Interfaces[1].Name, MAC(b.Container.MAC("eth0"))
	s.T.Cleanup(func() { s.CNI(s.T, b.Call("DEL")).OK(s.T) })
	b.Ear = Listen(s.T, b.Netns, "eth0")
	return b
}

// WithPrevResult is the configuration as CHECK needs it.
func (b *Box) WithPrevResult() []byte {
	var conf map[string]any
	if err := json.Unmarshal(b.Config, &conf); err != nil {
		panic(err)
	}
	conf["prevResult"] = json.RawMessage(b.Result)
	text, err := json.Marshal(conf)
	if err != nil {
		panic(err)
	}
	return text
}

// Check is CHECK of a container.
func (s *Scene) Check(b *Box) nettest.Answer {
	call := b.Call("CHECK")
	call.Config = b.WithPrevResult()
	return s.CNI(s.T, call)
}

// Local is the link-local address of the attacker.
func (b *Box) Local() netip.Addr { return LinkLocal(b.MAC) }

var tokens atomic.Int64

// Token is a text like no other.
func Token() string { return fmt.Sprintf("patchbay-attack-%06d.", tokens.Add(1)) }

// BySender sends frames by a container's eth0 and waits until they have been dealt with: a datagram that the container may send
// follows them, and has reached the host.
func (s *Scene) BySender(b *Box, frames ...[]byte) {
	s.T.Helper()
	mark := Token()
	gateway, hardware, ear := Gateway[0], s.HostMAC, s.HostEar
	if b == s.Stranger {
		gateway, hardware, ear = netip.MustParseAddr("10.96.0.1"), s.OtherMAC, Listen(s.T, s.Netns, Other)
	}
	last := Ether(hardware, b.MAC, TypeIPv4, UDP(netip.AddrPortFrom(b.Addrs[0], 9), netip.AddrPortFrom(gateway, 9), mark))
	Send(s.T, b.Netns, "eth0", append(frames, last)...)
	if !ear.Wait(mark, Patience) {
		s.T.Fatalf("%s cannot send to its gateway any more", b.Name())
	}
}

// FromOutside is BySender for the machine outside.
func (s *Scene) FromOutside(frames ...[]byte) {
	s.T.Helper()
	mark := Token()
	ear := Listen(s.T, s.Netns, "up0")
	last := Ether(s.UplinkMAC, MAC(s.Outside.MAC("eth0")), TypeIPv4, UDP(netip.AddrPortFrom(Faraway[0], 9), netip.AddrPortFrom(Uplink[0], 9), mark))
	Send(s.T, s.Outside.Netns, "eth0", append(frames, last)...)
	if !ear.Wait(mark, Patience) {
		s.T.Fatal("the machine outside cannot send to the host any more")
	}
}

// serve is a service of the host that listens on the gateway's IPv4 address.
func (s *Scene) serve() {
	s.T.Helper()
	var socket *net.UDPConn
	var err error
	s.Do(func() {
		socket, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(Gateway[0], Service)))
	})
	if err != nil {
		s.T.Fatalf("listen on the host: %v", err)
	}
	s.T.Cleanup(func() { _ = socket.Close() })
	s.served = map[string]bool{}
	go func() {
		for buf := make([]byte, 200); ; {
			n, err := socket.Read(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.served[string(buf[:n])] = true
			s.mu.Unlock()
		}
	}()
}

// Served reports whether the service got a token. What was sent before BySender returned has been dealt with by the kernel; a
// datagram of the attacker itself shows when the service has read all of it.
func (s *Scene) Served(token string) bool {
	s.T.Helper()
	last := Token()
	packet := UDP(netip.AddrPortFrom(s.Attacker.Addrs[0], 4001), netip.AddrPortFrom(Gateway[0], Service), last)
	s.BySender(s.Attacker, s.ToGateway(s.Attacker, packet))
	got := func(token string) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.served[token]
	}
	if !Until(Patience, func() bool { return got(last) }) {
		s.T.Error("the host's service gets nothing")
	}
	return got(token)
}
