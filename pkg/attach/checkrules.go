package attach

import (
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// ruleset looks whether what leaves the container still gets the host's address, what comes to its
// ports gets in, and what it is kept apart from does not.
func (c *checking) ruleset() error {
	if c.record == nil {
		return nil // said already
	}
	c.sameMasquerade()
	c.samePorts()
	if was, is := c.record.Policy, policyOf(c.cfg); was != is {
		c.differ("the attachment was made with ingressPolicy %s, the configuration has %s", named(was), named(is))
	}
	lost, err := lostRules(c.record)
	for _, sentence := range lost {
		c.reloadable = true
		c.differ("%s", sentence)
	}
	return err
}

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
		c.differ("the attachment masquerades, the configuration does not any more (ipMasq)")
	}
}

// samePorts compares the ports that the runtime tells with those that are published. A runtime need
// not tell them.
func (c *checking) samePorts() {
	if len(c.cfg.Publish.Ports) == 0 {
		return
	}
	var has []store.Port
	if c.record.Publish != nil {
		has = c.record.Publish.Ports
	}
	if p := c.record.Publish; p != nil && c.otherwise(p) {
		c.differ("the ports were published with other settings than the configuration has now (snat, masqAll, markMasqBit, hostLocalhost)")
	}
	want, err := portsOf(c.cfg.Publish.Ports, c.record.Addresses)
	if err != nil {
		c.differ("%v", err)
		return
	}
	for _, p := range want {
		if !slices.Contains(has, p) {
			c.differ("port %d/%s of the configuration is not published by this attachment", p.HostPort, p.Protocol)
			return
		}
	}
	if len(has) > len(want) {
		c.differ("the attachment publishes %d mappings, the configuration has %d", len(has), len(want))
	}
}

// otherwise reports whether the keys of published ports have changed.
func (c *checking) otherwise(p *store.Publish) bool {
	now := c.cfg.Publish
	return p.Plain == now.SNAT || p.All != now.MasqAll || p.MarkBit != now.MarkBit || p.Localhost && !(now.SNAT && now.Localhost)
}

// wantsMasquerade reports whether an address of this plugin's is of a family that is asked for.
func (c *checking) wantsMasquerade() bool {
	for _, address := range c.ours() {
		is4 := address.Address.Addr().Is4()
		if is4 && c.cfg.Masq.IPv4 || !is4 && c.cfg.Masq.IPv6 {
			return true
		}
	}
	return false
}

// lostRules says what of a record is not in the ruleset any more, a sentence each. It changes nothing.
func lostRules(r *store.Record) ([]string, error) {
	if !inRules(r) {
		return nil, nil
	}
	var lost []string
	err := withRules(func(rules *nft.Ruleset) (err error) {
		lost, err = rules.Missing(entryOf(r))
		return err
	})
	return append(lost, lostLocalhost(r, link.RoutesLocalnet)...), err
}
