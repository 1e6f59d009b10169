package load

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// family is a network of TestChurn.
type family struct {
	name, bridge        string
	config              cni.Conf
	sticky, masquerades bool // masquerades is also set where outboundAddr4 and outboundAddr6 translate
	size                int  // addresses in its pool; 0 if it never runs out
	publishes           bool // each attachment publishes a host port, see portOf
	hostIP              string
	limited             bool // each attachment has an ifb device
}

// publishedOn is the host address that network "one" publishes on.
const publishedOn = "192.0.2.10"

// families returns networks without addresses, with IPv4, with both, two that share a bridge, one with sticky addresses, two with
// published ports (wildcard and one host address), one with source-based routing, and one whose pool is too small.
func families() []family {
	return []family{
		{name: "layer2", bridge: "br0", config: network("layer2", "br0")},
		{name: "v4", bridge: "br1", config: network("v4", "br1", cni.Gateway(), cni.Pool("10.1.0.0/23"))},
		{name: "dual", bridge: "br2", config: network("dual", "br2", cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.2.0.0/23", "fd00:2::/64")), masquerades: true},
		{name: "left", bridge: "br3", config: network("left", "br3", cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.3.0.0/24")), masquerades: true},
		{name: "right", bridge: "br3", config: network("right", "br3", cni.Gateway(), cni.Pool("fd00:3::/64"))},
		{name: "kept", bridge: "br4", config: network("kept", "br4", cni.Gateway(), cni.Masquerade(), sticky("10.4.0.0/24", "fd00:4::/64")), sticky: true, masquerades: true},
		{name: "ports", bridge: "br6", config: network("ports", "br6", cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.6.0.0/24", "fd00:6::/64")), masquerades: true, publishes: true},
		{name: "one", bridge: "br7", config: network("one", "br7", cni.DefaultGateway(), cni.Pool("10.7.0.0/24")), publishes: true, hostIP: publishedOn},
		{name: "tuned", bridge: "br8", config: network("tuned", "br8", cni.Gateway(), cni.Pool("10.8.0.0/24", "fd00:8::/64"), cni.Conf{"sbr": true, "txQLen": 500, "sysctl": cni.Conf{"net.ipv4.conf.IFNAME.arp_filter": "1"}})},
		{name: "limited", bridge: "br9", config: network("limited", "br9", cni.Gateway(), cni.Pool("10.9.0.0/24"), cni.Conf{"ingressRate": 100e6, "egressRate": 100e6, "unshapedSubnets": []string{"10.8.0.0/16"}}), limited: true},
		{name: "policies", bridge: "br10", config: network("policies", "br10", cni.DefaultGateway(), cni.Pool("10.10.0.0/24", "fd00:10::/64"), policies()), masquerades: true},
		{name: "small", bridge: "br5", config: network("small", "br5", cni.Gateway(), cni.Pool("10.5.0.0/29")), size: 5},
	}
}

// op is a call to be made. A DEL may lack what a runtime should pass.
type op struct {
	verb         string
	key          key
	config       cni.Conf
	noPrevResult bool // DEL without prevResult
	noNetns      bool // DEL with an empty CNI_NETNS
}

func (o op) String() string {
	text := o.verb + " " + o.key.String()
	if o.noPrevResult {
		text += ", no prevResult"
	}
	if o.noNetns {
		text += ", no namespace"
	}
	return text
}

// planner chooses the calls of a round. The choice depends on its seed alone, not on the answers.
type planner struct {
	random   *rand.Rand
	families []family
	ids      []string
	likely   []key // what would be attached if the calls ran one after the other
	restart  []op  // first calls of the next round
}

// interfaces returns fewer names than there are networks, so that networks compete for a name.
func interfaces() []string { return []string{"eth0", "eth1", "eth2"} }

const (
	callsPerRound    = 96
	callsOfContainer = 7 // maximum per round: explain tries up to n! orders
)

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// round returns callsPerRound calls, most of them for attachments that exist.
func (p *planner) round() []op {
	var ops []op
	of := map[string]int{}
	for _, o := range p.restart {
		of[o.key.ID]++
		ops = append(ops, o)
	}
	p.restart = nil
	for len(ops) < callsPerRound {
		o := p.one()
		if of[o.key.ID]++; of[o.key.ID] > callsOfContainer {
			continue
		}
		p.expect(o)
		ops = append(ops, o)
	}
	return ops
}

func (p *planner) one() op {
	n := pick(p.random, p.families)
	o := op{verb: "ADD", key: key{n.name, pick(p.random, p.ids), pick(p.random, interfaces())}}
	dice := p.random.IntN(100)
	if dice >= 55 {
		o.verb = "CHECK"
	}
	if dice >= 75 {
		o.verb = "DEL"
		o.noPrevResult, o.noNetns = p.random.IntN(3) == 0, p.random.IntN(3) == 0
	}
	known := len(p.likely) > 0 && p.random.IntN(6) > 0
	if known && (o.verb != "ADD" || p.random.IntN(5) == 0) {
		o.key = pick(p.random, p.likely)
	}
	o.config = p.configOf(o.key)
	return o
}

func (p *planner) familyOf(k key) family {
	i := slices.IndexFunc(p.families, func(f family) bool { return f.name == k.Network })
	return p.families[i]
}

func (p *planner) configOf(k key) cni.Conf {
	f := p.familyOf(k)
	if !f.publishes {
		return f.config
	}
	return f.config.With(publishing(p.portOf(k), f.hostIP))
}

// hostPorts is less than the number of attachments that publish a port, so that some conflict.
const hostPorts = 20

// portOf returns the host port of an attachment, the same in every call; 0 for none.
func (p *planner) portOf(k key) int {
	if !p.familyOf(k).publishes {
		return 0
	}
	return 8000 + (slices.Index(p.ids, k.ID)*len(interfaces())+slices.Index(interfaces(), k.IfName))%hostPorts
}

// expect updates likely: an ADD fails if the container has an interface of that name.
func (p *planner) expect(o op) {
	rival := func(k key) bool { return k.ID == o.key.ID && k.IfName == o.key.IfName }
	switch {
	case o.verb == "DEL":
		p.likely = slices.DeleteFunc(p.likely, func(k key) bool { return k == o.key })
	case o.verb == "ADD" && !slices.ContainsFunc(p.likely, rival):
		p.likely = append(p.likely, o.key)
	}
}

// crash chooses a container whose namespace is deleted. The next round begins with the ADDs of most of its attachments.
func (p *planner) crash() string {
	id := pick(p.random, p.ids)
	for _, k := range p.likely {
		if k.ID == id && p.random.IntN(3) > 0 {
			p.restart = append(p.restart, op{verb: "ADD", key: k, config: p.configOf(k)})
		}
	}
	return id
}

func newPlanner(seed uint64, containers int) *planner {
	p := &planner{random: rand.New(rand.NewPCG(seed, 0)), families: families()}
	for i := range containers {
		p.ids = append(p.ids, fmt.Sprintf("c%02d", i))
	}
	return p
}
