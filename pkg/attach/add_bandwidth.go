package attach

import (
	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
)

// limit limits the traffic of the container, before its interface is up.
func (a *adding) limit() error {
	if a.record.Bandwidth == nil {
		return nil
	}
	l, err := a.host.Link(a.record.HostLink)
	if err != nil {
		return err
	}
	spec := BandwidthSpec(a.record)
	// An interface that is deleted loses its limits. One that another plugin made stays.
	if a.chained != nil {
		a.undo.push("bandwidth limits of "+l.Name, func() error { return bandwidth.Remove(Shaped(l), spec) })
	} else if spec.Device != "" {
		a.undo.push("ifb device "+spec.Device, func() error { return report.Except(a.host.RemoveIFB(spec.Device, spec.Mark), link.ErrNotOwned) })
	}
	return bandwidth.Limit(Shaped(l), spec)
}
