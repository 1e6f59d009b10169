package load

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// family is a network of the churn.
type family struct {
	name, bridge, config string
	sticky, masquerades  bool
	size                 int  // addresses in its pool; 0 where there is always one more
	publishes            bool // each attachment has a port of the host, see portOf
	hostIP               string
}

// publishedOn is an address of the host.
const publishedOn = "192.0.2.10"

// families are all kinds of networks: without addresses, IPv4, both, two on one bridge, of which one masquerades, one that remembers, one that is
// too small, two with ports, at every address of the host and at one.
func families() []family {
	return []family{
		{name: "layer2", bridge: "br0", config: network("layer2", "br0")},
		{name: "v4", bridge: "br1", config: network("v4", "br1", gateway, pool("10.1.0.0/23"))},
		{name: "dual", bridge: "br2", config: network("dual", "br2", defaultGateway, masquerade, pool("10.2.0.0/23", "fd00:2::/64")), masquerades: true},
		{name: "left", bridge: "br3", config: network("left", "br3", defaultGateway, masquerade, pool("10.3.0.0/24")), masquerades: true},
		{name: "right", bridge: "br3", config: network("right", "br3", gateway, pool("fd00:3::/64"))},
		{name: "kept", bridge: "br4", config: network("kept", "br4", gateway, masquerade, sticky("10.4.0.0/24", "fd00:4::/64")), sticky: true, masquerades: true},
		{name: "ports", bridge: "br6", config: network("ports", "br6", defaultGateway, masquerade, pool("10.6.0.0/24", "fd00:6::/64")), masquerades: true, publishes: true},
		{name: "one", bridge: "br7", config: network("one", "br7", defaultGateway, pool("10.7.0.0/24")), publishes: true, hostIP: publishedOn},
		{name: "small", bridge: "br5", config: network("small", "br5", gateway, pool("10.5.0.0/29")), size: 5},
	}
}

// op is a call to be made. A DEL may be given less than a good runtime gives.
type op struct {
	verb   string
	key    key
	config string
	bare   bool // DEL without prevResult
	away   bool // DEL with an empty CNI_NETNS
}

func (o op) String() string {
	text := o.verb + " " + o.key.String()
	if o.bare {
		text += ", no prevResult"
	}
	if o.away {
		text += ", no namespace"
	}
	return text
}

// planner chooses the calls of a round. What it chooses follows from its seed alone, not from the answers.
type planner struct {
	random   *rand.Rand
	families []family
	ids      []string
	likely   []key // what should be attached if all calls came one after the other
	restart  []op  // what the next round begins with
}

// Some interfaces are fewer than networks: they compete for the name.
func interfaces() []string { return []string{"eth0", "eth1", "eth2"} }

const (
	callsPerRound    = 96
	callsOfContainer = 7 // at most, in a round: the orders to be tried grow with their factorial
)

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// round is as many calls, most of them to what is there, some to what is not.
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
		o.bare, o.away = p.random.IntN(3) == 0, p.random.IntN(3) == 0
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

func (p *planner) configOf(k key) string {
	f := p.familyOf(k)
	if !f.publishes {
		return f.config
	}
	return string(with(f.config, "runtimeConfig", publishing(p.portOf(k), f.hostIP)))
}

// hostPorts are fewer than those who want one: some want what another has.
const hostPorts = 20

// portOf is the port of the host that an attachment always wants, 0 for none.
func (p *planner) portOf(k key) int {
	if !p.familyOf(k).publishes {
		return 0
	}
	return 8000 + (slices.Index(p.ids, k.ID)*len(interfaces())+slices.Index(interfaces(), k.IfName))%hostPorts
}

// expect keeps likely up to date: an ADD does not pass if the container has an interface of that name.
func (p *planner) expect(o op) {
	rival := func(k key) bool { return k.ID == o.key.ID && k.IfName == o.key.IfName }
	switch {
	case o.verb == "DEL":
		p.likely = slices.DeleteFunc(p.likely, func(k key) bool { return k == o.key })
	case o.verb == "ADD" && !slices.ContainsFunc(p.likely, rival):
		p.likely = append(p.likely, o.key)
	}
}

// crash chooses a container that loses its namespace. Most of its attachments are made anew at once, the others when their turn
// comes.
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
