package attach

import (
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// preflight has the checks of the host that concern any container of a network, and what they read. ADD runs them before it changes
// anything, and STATUS returns their result: STATUS fails where every ADD fails, with the same error.
type preflight struct {
	cfg    *config.Config
	host   *link.Host       // nil if another main plugin creates the interface
	bridge *link.Bridge     // as read last; nil if it does not exist
	gate   *link.Bridge     // what has the gateway addresses, the bridge or its interface of a VLAN; nil if it does not exist
	on     []netip.Prefix   // addresses of gate as read last
	may    *addressRules    // which addresses may be assigned; nil if the network has none
	rules  *ruleset.Ruleset // nil unless the network needs it
}

func (p *preflight) close() {
	if p.rules != nil {
		p.rules.Close()
	}
	if p.host != nil {
		p.host.Close()
	}
}

// serves reports whether the built-in IPAM assigns addresses of a family.
func (p *preflight) serves(is4 bool) bool {
	if p.cfg.IPAM == nil {
		return false
	}
	for _, set := range p.cfg.IPAM.Pool.Sets {
		if set.Is4() == is4 {
			return true
		}
	}
	return false
}

// reservesItself reports whether IPAM of this network itself never assigns one address twice. The reference static can do so.
func (p *preflight) reservesItself() bool {
	return !p.cfg.DelegatesIPAM() || isHostLocal(p.cfg.IPAMType) || p.cfg.IPAMType == "dhcp"
}

// bridgeNote returns the note of this network on its bridge: its subnets, and gateways outside of them.
func (p *preflight) bridgeNote() store.BridgeNote {
	n := store.BridgeNote{Network: p.cfg.Name, StateDir: p.cfg.StateDir}
	if p.cfg.IPAM == nil {
		return n // the subnets of a delegated IPAM plugin are not known
	}
	for _, set := range p.cfg.IPAM.Pool.Sets {
		for _, r := range set {
			n.Prefixes = append(n.Prefixes, r.Subnet)
			if r.Gateway.IsValid() && !r.Subnet.Contains(r.Gateway) {
				n.Prefixes = append(n.Prefixes, netip.PrefixFrom(r.Gateway, r.Gateway.BitLen()))
			}
		}
	}
	return n
}

// knownDirs returns the state directories in which notes can be.
func (p *preflight) knownDirs() []string {
	if p.cfg.StateDir == config.DefaultStateDir {
		return []string{config.DefaultStateDir}
	}
	return []string{config.DefaultStateDir, p.cfg.StateDir}
}
