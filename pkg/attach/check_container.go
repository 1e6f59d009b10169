package attach

import (
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/names"
)

// tuned compares the settings of the configuration with the kernel.
func (c *checking) tuned() error {
	want := TuningOf(c.cfg.Tuning, c.req.IfName)
	if want.IsZero() {
		return nil
	}
	if c.record != nil && c.record.Tuning != nil {
		for i := range want.Sysctls {
			for _, set := range c.record.Tuning.Set.Sysctls {
				if set.Kernel != "" && set.Name == want.Sysctls[i].Name && set.Value == want.Sysctls[i].Value {
					want.Sysctls[i].Value = set.Kernel
				}
			}
		}
	}
	now, err := c.sandbox.Tuned(c.req.IfName, want)
	if errors.As(err, new(*link.TuneError)) {
		c.differ("%v", err)
		return nil
	}
	for _, difference := range want.Differences(c.req.IfName, now) {
		c.differ("in the container %s", difference)
	}
	return err
}

// sourceRouting compares source-based routing with the configuration and the kernel.
func (c *checking) sourceRouting() error {
	if c.record == nil {
		return nil // reported by state
	}
	was := c.record.SourceRouting
	switch {
	case c.record.HasPart(names.SourceRoute): // its own CHECK compares
		return nil
	case was == nil && c.cfg.SBR != nil:
		c.differ("the attachment was made without source-based routing, the configuration has it (sbr)")
	case was != nil && c.cfg.SBR == nil:
		c.differ("the attachment has source-based routing, the configuration no longer does (sbr)")
	case was != nil && (was.Shared != (c.cfg.SBR.Table != 0) || was.Shared && len(was.Rules) > 0 && was.Rules[0].Table != c.cfg.SBR.Table):
		c.differ("the attachment was made with another routing table than the configuration has (sbr.table)")
	}
	if was == nil {
		return nil
	}
	lost, err := c.sandbox.MissingSourceRouting(c.req.IfName, SourcesOfRecord(was))
	for _, what := range lost {
		c.differ("the container has lost %s", what)
	}
	return err
}
