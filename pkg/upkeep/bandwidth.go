package upkeep

import (
	"errors"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// relimit restores the bandwidth limits of live attachments that have lost them.
func relimit(host *link.Host, live []*store.Record) (done []string, err error) {
	for _, r := range live {
		if r.Bandwidth == nil {
			continue
		}
		restored, failed := relimitOne(host, r)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.Key(), failed))
		}
		if restored {
			done = append(done, fmt.Sprintf("bandwidth of %s is limited again", r.Key()))
		}
	}
	return done, err
}

func relimitOne(host *link.Host, r *store.Record) (restored bool, err error) {
	l, err := liveness.New(host).HostInterface(r)
	if err != nil {
		return false, report.Except(err, link.ErrNotFound)
	}
	if r.Role == store.RoleChained && (r.HostIndex != l.Index || !l.PeerIn(r.Netns) && l.Kind != "tun") {
		return false, nil // a wrong record could name the uplink
	}
	return bandwidth.Restore(attach.Shaped(l), attach.BandwidthSpec(r))
}
