package attach

import (
	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/names"
)

// limits compares the limits of the traffic with the kernel and with the configuration.
func (c *checking) limits(l *link.Link) error {
	was := c.record.Bandwidth
	if !SameLimits(c.cfg.Bandwidth, was) && !c.record.HasPart(names.Bandwidth) {
		c.differ("the configuration has other bandwidth limits than the attachment")
	}
	if was == nil {
		return nil
	}
	differences, err := bandwidth.Check(Shaped(l), BandwidthSpec(c.record))
	for _, d := range differences {
		c.reloadable = true
		c.differ("%s", d)
	}
	return err
}
