package upkeep

import (
	"errors"
	"fmt"
	"os"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// relimit restores the bandwidth limits of live attachments that have lost them. It leaves out those that a verb works on: an ADD has not
// made its limits yet, and would take those of relimit for another program's.
func relimit(host *link.Host, stateDir string, live []*store.Record) (done []string, err error) {
	for _, r := range live {
		if r.Bandwidth == nil {
			continue
		}
		restored, failed := relimitAtRest(host, stateDir, r)
		if failed != nil && !isGone(host, r) {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.Key(), failed))
		}
		if restored {
			done = append(done, fmt.Sprintf("bandwidth of %s is limited again", r.Key()))
		}
	}
	return done, err
}

// relimitAtRest restores the limits of an attachment under the lock of its record.
func relimitAtRest(host *link.Host, stateDir string, r *store.Record) (restored bool, err error) {
	for _, dir := range store.StateDirs(stateDir) {
		state, err := store.TryOpen(store.Dirs{State: dir, Data: r.DataDir}, r.Key())
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, store.ErrBusy) {
			continue
		}
		if err != nil {
			return false, err
		}
		if now := state.Record; now != nil && now.Created.Equal(r.Created) && now.Bandwidth != nil { // a DEL of the plugin bandwidth alone may have removed them
			restored, err = relimitOne(host, now)
		}
		return restored, errors.Join(err, state.Close())
	}
	return false, nil
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
