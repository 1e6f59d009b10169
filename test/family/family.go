package family

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Conf is a plugin's configuration or a section of it, as JSON has it.
type Conf map[string]any

func (c Conf) with(more ...Conf) Conf {
	out := maps.Clone(c)
	for _, m := range more {
		maps.Copy(out, m)
	}
	return out
}

// Family is a kind of network.
type Family struct {
	Name   string
	IfName string
	conf   Conf
	// host makes what is on the host before the first attachment; nil for nothing.
	host func(testing.TB, *nettest.Node)
	// container makes what a container has before, and returns what its configuration has
	// beyond the network's; nil for nothing.
	container func(*Scene, *nettest.Container) Conf
	mates     []string // names of further containers of the network, for a GC of many
	// Begins is in the first call of an ADD that is not the same as another family's: it is met
	// there and later. "" for the first of all.
	Begins string
	lost   bool // the records are gone, with the containers still attached
	// publishes is set where containers have ports of the host, and clients send to them.
	publishes bool
}

// All are the families. The names are those of the golden list and of the table.
func All() []Family {
	gateway := Conf{"isDefaultGateway": true}
	return []Family{
		{Name: "l2", conf: network()},
		{Name: "gateway", conf: network(gateway, pool("10.1.0.0/24"))},
		{Name: "dual stack", conf: network(gateway, pool("10.1.0.0/24", "fd00:1::/64"))},
		{Name: "IPv6 only", conf: network(gateway, pool("fd00:1::/64"))},
		{Name: "adopted bridge", conf: network(gateway, Conf{"bridge": "br0"}, pool("10.1.0.0/24", "fd00:1::/64")), host: adopted},
		{Name: "single addresses", conf: network(gateway, singles())},
		{Name: "sticky", conf: network(gateway, ipam(Conf{"sticky": true, "ranges": ranges("10.1.0.0/24")}))},
		{Name: "shared directory", conf: network(gateway, ipam(Conf{"dataDir": "/var/lib/cni/networks", "ranges": ranges("10.1.0.0/24")}))},
		{Name: "several networks", IfName: "eth1", conf: second(), container: first},
		{Name: "chained", conf: network(pool("10.1.0.0/24", "fd00:1::/64")), container: cable},
		{Name: "masquerade", Begins: "nftables", conf: network(gateway, masquerade(), pool("10.1.0.0/24", "fd00:1::/64")), container: neighbour},
		{Name: "first masquerade", Begins: "nftables", conf: network(gateway, masquerade(), pool("10.1.0.0/24", "fd00:1::/64"))},
		{Name: "another IPAM", Begins: "start a process", conf: network(gateway, ipam(Conf{"type": "host-local", "ranges": ranges("10.1.0.0/24", "fd00:1::/64")})), container: neighbour},
		{Name: "chained, masquerade", Begins: "nftables", conf: network(masquerade(), pool("10.1.0.0/24", "fd00:1::/64")), container: cable},
		{Name: "ports", Begins: "nftables", publishes: true, conf: network(gateway, masquerade(), pool("10.1.0.0/24", "fd00:1::/64")), host: uplink, container: published},
		{Name: "ports, isolated", Begins: ".isolating", publishes: true, conf: network(gateway, Conf{"ingressPolicy": "isolated"}, pool("10.1.0.0/24", "fd00:1::/64")), host: uplink, container: firstPublished},
		{Name: "addresses only", conf: network(Conf{"type": "macvlan", "master": "eth0"}, pool("10.1.0.0/24", "fd00:1::/64"))},
	}
}

// Crowds are families of several containers that masquerade, for what a GC does with many at once.
func Crowds() []Family {
	conf, mates := network(Conf{"isDefaultGateway": true}, masquerade(), pool("10.1.0.0/24", "fd00:1::/64")), []string{"two", "three"}
	return []Family{
		{Name: "three at once", conf: conf, mates: mates},
		{Name: "three without records", conf: conf, mates: mates, lost: true},
	}
}

// network is the configuration of network "net" on bridge cni0.
func network(more ...Conf) Conf {
	return Conf{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0"}.with(more...)
}

func ipam(keys Conf) Conf { return Conf{"ipam": Conf{"type": "patchbay"}.with(keys)} }

// masquerade has the container's addresses leave as the host's.
func masquerade() Conf { return Conf{"ipMasq": true} }

func pool(subnets ...string) Conf { return ipam(Conf{"ranges": ranges(subnets...)}) }

// ranges is one set of one range for each subnet.
func ranges(subnets ...string) [][]Conf {
	sets := make([][]Conf, len(subnets))
	for i, subnet := range subnets {
		sets[i] = []Conf{{"subnet": subnet}}
	}
	return sets
}

// singles are addresses that are a subnet each: the host has a route to every one.
func singles() Conf {
	one := func(subnet, gateway string) Conf { return Conf{"subnet": subnet, "gateway": gateway} }
	return ipam(Conf{"ranges": [][]Conf{
		{one("10.9.0.5/32", "10.9.0.1"), one("10.9.0.6/32", "10.9.0.1")}, {one("fd00:9::5/128", "fd00:9::1"), one("fd00:9::6/128", "fd00:9::1")},
	}})
}

// adopted is a bridge that somebody else has made, with an address and a port. A MAC that the
// kernel chose could be higher than ours, and the bridge's would be given back by one more call.
func adopted(t testing.TB, h *nettest.Node) {
	h.Bridge("br0", "2001:db8::10/64")
	h.Veth("port", h.Netns, "wire")
	h.Run(t, "ip", "link", "set", "port", "address", "52:54:00:00:53:10")
	h.Plug("port", "br0")
}

func second() Conf {
	return network(Conf{"isDefaultGateway": true, "name": "second", "bridge": "cni1"}, pool("10.2.0.0/24", "fd00:2::/64"))
}

// first attaches a container to another network before.
func first(s *Scene, c *nettest.Container) Conf {
	before := network(Conf{"isDefaultGateway": true}, pool("10.1.0.0/24", "fd00:1::/64"))
	s.CNI(s.t, nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: before.bytes()}).OK(s.t)
	return nil
}

// neighbour attaches another container to the same network before, which stays: the table of
// nftables is there, and what it has of this container is to be left alone.
func neighbour(s *Scene, _ *nettest.Container) Conf {
	if len(s.kept) > 0 {
		return nil
	}
	other := &Attachment{scene: s, c: s.Container("beside")}
	if s.publishes {
		other.more = firstPublished(s, other.c)
	}
	other.Do(s.t, other.Call("ADD")).OK(s.t)
	s.kept = append(s.kept, Conf{"containerID": other.c.ID(), "ifname": s.IfName})
	return nil
}

// cable is what a plugin earlier in the chain has made.
func cable(s *Scene, c *nettest.Container) Conf {
	host := "their-" + c.Name()
	s.Veth(host, c.Netns, "eth0")
	return Conf{"prevResult": Conf{"cniVersion": "1.1.0", "interfaces": []Conf{
		{"name": host, "mac": s.MAC(host)}, {"name": "eth0", "mac": c.MAC("eth0"), "sandbox": c.Path()},
	}}}
}

func (c Conf) bytes() []byte {
	text, err := json.Marshal(c)
	if err != nil { // of strings, numbers and maps of them there is none
		return []byte(fmt.Sprint(err))
	}
	return text
}

// Some are the families of these names.
func Some(t testing.TB, names ...string) []Family {
	t.Helper()
	var out []Family
	all := slices.Concat(All(), Crowds())
	for _, name := range names {
		i := slices.IndexFunc(all, func(f Family) bool { return f.Name == name })
		if i < 0 {
			t.Fatalf("there is no family %q", name)
		}
		out = append(out, all[i])
	}
	return out
}
