package attach

import (
	"errors"
	"reflect"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// gate reads the interface that has the gateway addresses; nil if it does not exist.
func (c *checking) gate(b *link.Bridge) (*link.Bridge, error) {
	if b == nil {
		return nil, nil
	}
	gate, err := c.host.Gate(b, c.cfg.GatewayLink())
	if errors.Is(err, link.ErrNotFound) || errors.Is(err, link.ErrNotVLANLink) {
		c.reloadable = c.reloadable || errors.Is(err, link.ErrNotFound)
		c.differ("%v", err)
		return nil, nil
	}
	if err != nil || gate.Kind != "vlan" {
		return gate, err
	}
	if !gate.Up {
		c.differ("interface %s is down", gate.Name)
	}
	if in, err := c.host.InVLAN(b, gate.VLAN); err != nil || !in {
		c.reloadable = true
		c.differ("bridge %s is not in VLAN %d, whose gateway it is", b.Name, gate.VLAN)
	}
	return gate, nil
}

// segments checks VLANs and isolation of the bridge port.
func (c *checking) segments(b *link.Bridge, l *link.Link) error {
	if c.record == nil || l.Port == nil {
		return nil
	}
	if want := c.record.PortIsolation; l.Port.Isolated != want {
		c.reloadable = true
		c.differ("isolation of bridge port %s is %t, portIsolation is %t", l.Name, l.Port.Isolated, want)
	}
	if c.record.PortIsolation != c.cfg.PortIsolation {
		c.differ("the attachment was made with portIsolation %t, the configuration now has %t", c.record.PortIsolation, c.cfg.PortIsolation)
	}
	if !reflect.DeepEqual(c.record.VLANs, vlansOf(c.cfg)) {
		c.differ("the attachment was made with other values of vlan, vlanTrunk or preserveDefaultVlan than the configuration has now")
	}
	vlans := portVLANs(c.record)
	if vlans == nil {
		return nil
	}
	found, err := c.host.VLANDrift(l, b, *vlans)
	for _, difference := range found {
		c.reloadable = true
		c.differ("%s", difference)
	}
	return err
}
