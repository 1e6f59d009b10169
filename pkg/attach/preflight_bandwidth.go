package attach

import (
	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/link"
)

// bursts checks that the bursts can pass a packet of the container interface that will be created.
func (p *preflight) bursts() error {
	if p.cfg.Bandwidth == nil {
		return nil
	}
	mtu := p.cfg.MTU
	if mtu == 0 && p.bridge != nil {
		mtu = p.bridge.MTU
	}
	if mtu == 0 {
		mtu = p.host.FutureMTU(link.BridgeSpec{IPv4: p.serves(true), IPv6: p.serves(false)})
	}
	b := p.cfg.Bandwidth
	return bandwidth.Spec{Ingress: bandwidth.Rate(b.Ingress), Egress: bandwidth.Rate(b.Egress)}.Validate(mtu)
}
