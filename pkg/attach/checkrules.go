package attach

import (
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// ruleset looks whether what leaves the container still gets the host's address.
func (c *checking) ruleset() error {
	if c.record == nil {
		return nil // said already
	}
	if c.record.Masquerade == nil {
		if c.cfg.Masq != nil && c.wantsMasquerade() {
			c.differ("the configuration masquerades (ipMasq), the attachment does not")
		}
		return nil
	}
	if c.cfg.Masq == nil {
		c.differ("the attachment masquerades, the configuration does not any more (ipMasq)")
	}
	lost, err := LostRules(c.record)
	for _, sentence := range lost {
		c.reloadable = true
		c.differ("%s", sentence)
	}
	return err
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

// LostRules says what of a record's masquerade is not in the ruleset any more, a sentence each, for
// who draws the host. It changes nothing.
func LostRules(r *store.Record) ([]string, error) {
	if r.Masquerade == nil {
		return nil, nil
	}
	var lost []string
	err := withRules(func(rules *nft.Ruleset) (err error) {
		lost, err = rules.Missing(entryOf(r))
		return err
	})
	return lost, err
}
