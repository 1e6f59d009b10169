package attach

import (
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// ifb returns the derived name of the ifb device that may exist for an attachment with a veth pair, "" if none can. Without a record it
// is not known whether the traffic is limited.
func (r *removal) ifb() string {
	switch record := r.state.Record; {
	case record == nil:
		return r.names.IFB
	case record.Role != store.RolePort || record.Bandwidth == nil || record.Bandwidth.Device == "":
		return ""
	}
	return r.names.IFB
}

// removeRecordedIFB deletes the ifb device with the recorded name, which was derived from another machine-id. The whole mark of the
// recorded alias must match.
func (r *removal) removeRecordedIFB(record *store.Record) error {
	b := record.Bandwidth
	if b == nil || b.Device == "" || b.Device == r.names.IFB {
		return nil
	}
	l, err := r.host.Link(b.Device)
	if err != nil || l.Alias == "" {
		return report.Except(err, link.ErrNotFound)
	}
	return report.Except(r.host.RemoveIFB(b.Device, identity.MarkOf(record.Alias)), link.ErrNotOwned)
}

// unlimitChained removes the limits from an interface that another plugin made.
func (r *removal) unlimitChained(l *link.Link, record *store.Record) error {
	if record.Bandwidth == nil || record.HostIndex != 0 && l.Index != record.HostIndex {
		return nil
	}
	return report.Except(bandwidth.Remove(Shaped(l), BandwidthSpec(record)), bandwidth.ErrNotOwned)
}

// removeChainedIFB deletes the ifb device of an interface that another plugin made and that no longer exists.
func (r *removal) removeChainedIFB(record *store.Record) error {
	if record.Bandwidth == nil || record.Bandwidth.Device == "" {
		return nil
	}
	return errors.Join(
		report.Except(r.host.RemoveIFB(r.names.IFB, r.names.Mark), link.ErrNotOwned),
		r.removeRecordedIFB(record),
	)
}
