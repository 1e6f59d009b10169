package attach

import (
	"context"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/delegate"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// checkForeign forwards a CHECK; from then on what prevResult has is what IPAM gave.
func (c *checking) checkForeign(ctx context.Context, plugin *delegate.Plugin) error {
	if plugin == nil {
		return nil
	}
	c.cfg.IPAM = &config.IPAM{}
	if c.record != nil && c.record.IPAMType != plugin.Name {
		return nil // said already; this one knows nothing of it
	}
	_, err := plugin.Call(ctx, "CHECK", c.req.Config)
	return err
}

// sameForeign compares the recorded IPAM plugin with the configured one.
func (c *checking) sameForeign() {
	is := ""
	if c.cfg.Foreign() {
		is = c.cfg.IPAMType
	}
	switch {
	case c.record.IPAMType != is:
		c.differ("the addresses are of IPAM %q, the configuration has %q now", c.record.IPAMType, c.cfg.IPAMType)
	case c.record.IPAM != store.IPAMDone:
		c.differ("IPAM %s has not answered when the attachment was made", is)
	}
}
