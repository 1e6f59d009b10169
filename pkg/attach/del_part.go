package attach

import (
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// closeLocalnet stops routing 127.0.0.0/8 by an interface of this attachment alone, before the element that keeps the container from
// those addresses of the host is removed.
func (r *removal) closeLocalnet(record *store.Record) error {
	if record == nil || record.Publish == nil || !record.Publish.Localhost || !record.PointToPoint() {
		return nil
	}
	l, err := liveness.New(r.host).HostInterface(record)
	if err == nil {
		err = r.host.StopRoutingLocalnet(l.Name)
	}
	return report.Except(err, link.ErrNotFound)
}

// clearPart removes what later plugins of the list (package chained) made on an interface of another main plugin. Their own DELs have
// usually done so.
func (r *removal) clearPart(record *store.Record) error {
	restored := r.untune(record)
	l, err := liveness.New(r.host).HostInterface(record)
	switch {
	case errors.Is(err, link.ErrNotFound):
		return errors.Join(restored, r.removeChainedIFB(record))
	case err != nil:
		return errors.Join(restored, err)
	}
	return errors.Join(restored, report.Except(r.unlimitChained(l, record), link.ErrNotFound))
}
