package attach

import (
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/names"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// ruleset compares masquerading, published ports, isolation and spoof check with the configuration, and the elements of the record
// with nftables. Elements that are missing can be restored by reload; a difference to the configuration needs a new ADD.
func (c *checking) ruleset() error {
	if c.record == nil {
		return nil // reported by state
	}
	c.sameMasquerade()
	c.samePorts()
	if was, is := c.record.Policy, policyOf(c.cfg); was != is && !c.record.HasPart(names.Firewall) {
		c.differ("the attachment was made with ingressPolicy %s, the configuration has %s", named(was), named(is))
	}
	c.sameSpoofCheck()
	c.sameEgress()
	lost, err := ruleset.Missing(c.record)
	for _, sentence := range lost {
		c.reloadable = true
		c.differ("%s", sentence)
	}
	return err
}

// named returns the configured name of a policy: a record leaves out open.
func named(policy string) string {
	if policy == "" {
		return config.PolicyOpen
	}
	return policy
}

func (c *checking) sameMasquerade() {
	switch {
	case c.record.Masquerade == nil && c.cfg.Masq != nil && c.wantsMasquerade():
		c.differ("the configuration masquerades (ipMasq), the attachment does not")
	case c.record.Masquerade != nil && c.cfg.Masq == nil:
		c.differ("the attachment masquerades, the configuration no longer does (ipMasq)")
	case c.record.Masquerade != nil && c.cfg.Masq != nil:
		c.sameOutbound()
	}
}

// samePorts compares the port mappings of the runtime with those of the record. A runtime may omit runtimeConfig in a CHECK.
func (c *checking) samePorts() {
	if len(c.cfg.Publish.Ports) == 0 || c.record.HasPart(names.Portmap) {
		return
	}
	var has []store.Port
	if c.record.Publish != nil {
		has = c.record.Publish.Ports
	}
	if p := c.record.Publish; p != nil && c.otherwise(p) {
		c.differ("the ports were published with other settings than the configuration now has (snat, masqAll, markMasqBit, hostLocalhost)")
	}
	want, _ := PortsOf(c.cfg.Publish.Ports, c.record.Addresses)
	for _, p := range want {
		if !slices.Contains(has, p) && !ruleset.ServedBySibling(c.record, p) {
			c.differ("port %d/%s of the configuration is not published by this attachment", p.HostPort, p.Protocol)
			return
		}
	}
	if len(has) > len(want) {
		c.differ("the attachment publishes %d mappings, the configuration has %d", len(has), len(want))
	}
}

// otherwise reports whether the keys for published ports differ from those of the record.
func (c *checking) otherwise(p *store.Publish) bool {
	now := c.cfg.Publish
	return p.Plain == now.SNAT || p.All != now.MasqAll || p.MarkBit != now.MarkBit || p.Localhost && !(now.SNAT && now.Localhost)
}

// wantsMasquerade reports whether ipMasq covers the family of one of the addresses.
func (c *checking) wantsMasquerade() bool {
	for _, address := range c.ours() {
		is4 := address.Address.Addr().Is4()
		if is4 && c.cfg.Masq.IPv4 || !is4 && c.cfg.Masq.IPv6 {
			return true
		}
	}
	return false
}

// levelOf returns the level of spoofCheck that a record was made with.
func levelOf(r *store.Record) string {
	switch {
	case !ruleset.ChecksSpoofing(r):
		return config.SpoofNone
	case r.SpoofCheck.Full:
		return config.SpoofFull
	}
	return config.SpoofMAC
}

// sameSpoofCheck compares the level with the one of the configuration. A record without a level was made by a version without the
// check, or for an interface whose MAC address is unknown: this is a difference only if the configuration sets the key.
func (c *checking) sameSpoofCheck() {
	if c.record.SpoofCheck == nil && !c.cfg.SpoofCheck.Explicit || c.record.HasPart(names.Firewall) {
		return
	}
	if was, is := levelOf(c.record), c.cfg.SpoofCheck.Level; was != is {
		c.differ("the attachment was made with spoofCheck %s, the configuration has %s", was, is)
	}
}

// sameEgress compares the allowed destinations with those of the configuration. The name servers are not compared: a runtime may
// omit runtimeConfig in a CHECK.
func (c *checking) sameEgress() {
	switch has, want := c.record.Egress, c.cfg.Egress; {
	case has == nil && want != nil:
		c.differ("the configuration restricts the connections of containers (egress), the attachment was made without it")
	case has != nil && want == nil:
		c.differ("the connections of the attachment are restricted, the configuration no longer restricts them (egress)")
	case has != nil && !slices.Equal(has.Allow, want.Allow):
		c.differ("the attachment was made with another list egress.allow than the configuration now has")
	}
}

// sameOutbound compares the outbound addresses with those of the configuration.
func (c *checking) sameOutbound() {
	has, want := c.record.Masquerade, c.cfg.Masq
	for _, addr := range []struct {
		key     string
		was, is netip.Addr
	}{{"outboundAddr4", has.Outbound4, want.Outbound4}, {"outboundAddr6", has.Outbound6, want.Outbound6}} {
		if addr.was != addr.is {
			c.differ("the attachment was made with %s %s, the configuration has %s", addr.key, orNone(addr.was), orNone(addr.is))
		}
	}
}

// orNone returns an address as text.
func orNone(addr netip.Addr) string {
	if !addr.IsValid() {
		return "none"
	}
	return addr.String()
}
