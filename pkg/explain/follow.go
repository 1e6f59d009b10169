package explain

import "github.com/patchbay-cni/patchbay/pkg/nft"

// Follow leaves out what the plan of an earlier container of the same network makes: bridge, gateway, forwarding, and the tables and
// chains of nftables.
func (p *Plan) Follow(first *Plan) {
	p.bridge, p.gate = first.bridge.made(), first.gate.made()
	p.gateway.Add = nil
	p.forward = map[bool]bool{}
	p.keepRA = nil
	p.admit, p.localnet = nil, false
	p.rules = nft.Script{Elements: p.rules.Elements}
}

// made returns the bridge as it is after the commands of a plan.
func (b bridge) made() bridge {
	b.exists, b.up, b.ports = true, true, true
	b.promisc, b.filter, b.no6, b.forward = false, false, false, map[bool]bool{}
	return b
}
