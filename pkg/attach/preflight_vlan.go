package attach

import (
	"errors"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// vlans checks that the bridge keeps VLANs apart, or that ADD can make it do so, and that the gateway's interface of the VLAN can
// be created.
func (p *preflight) vlans() error {
	if !p.cfg.VLANs.AreSet() {
		return nil
	}
	err := p.namesVLAN(p.host.MayFilterVLANs(p.bridge))
	if err == nil && p.bridge != nil && p.hasVLANGate() {
		err = p.host.MayHaveVLANLink(p.bridge, p.vlanSpec())
	}
	return err
}

// namesVLAN adds key and value to the error that the kernel cannot keep VLANs apart: CNI SPEC.md section "Error" wants them for code 2.
func (p *preflight) namesVLAN(err error) error {
	switch {
	case !errors.Is(err, link.ErrNoVLANs):
		return err
	case p.cfg.VLANs.ID != 0:
		return fmt.Errorf("vlan: %d cannot be had: %w", p.cfg.VLANs.ID, err)
	}
	return fmt.Errorf("vlanTrunk: %s cannot be had: %w", p.cfg.VLANs.Trunk[0], err)
}

// hasVLANGate reports whether an interface of a VLAN has the gateway addresses instead of the bridge.
func (p *preflight) hasVLANGate() bool { return p.cfg.GatewayLink() != p.cfg.Bridge }

func (p *preflight) vlanSpec() link.VLANSpec {
	return link.VLANSpec{Name: p.cfg.GatewayLink(), ID: p.cfg.VLANs.Native()}
}

// lookAtGate reads the interface that has the gateway addresses. A missing one is no error: ADD creates it.
func (p *preflight) lookAtGate() (err error) {
	p.gate, err = p.host.Gate(p.bridge, p.cfg.GatewayLink())
	if errors.Is(err, link.ErrNotFound) {
		p.gate, err = nil, nil
	}
	return err
}

// isApart reports whether the host is not in the segment of the network: a VLAN of the bridge without a gateway on the host.
func (p *preflight) isApart() bool { return p.cfg.Segment() != p.cfg.GatewayLink() }
