package attach

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// conflict is a reserved address that is in use, with the reason as a clause that begins with a verb.
type conflict struct {
	addr netip.Addr
	why  error
}

// probeAddresses probes the reserved addresses on the bridge (ARP probe, neighbour solicitation): other hosts of a LAN can have
// addresses that no record contains. It probes only addresses of the built-in IPAM, on a bridge that Patchbay did not create and
// that has an uplink; "probe": false in ipam disables it. A probe that cannot be sent is only a warning.
func (a *adding) probeAddresses(ctx context.Context) (found []conflict, err error) {
	var addrs []netip.Addr
	for _, address := range a.record.Addresses {
		addrs = append(addrs, address.Address.Addr())
	}
	if len(addrs) == 0 || !a.isLAN() {
		return nil, nil
	}
	begun := time.Now()
	answers, err := a.host.Probe(ctx, a.bridge, addrs)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		report.Warn("%v; another host may use %v", err, addrs)
	}
	for _, answer := range answers {
		found = append(found, conflict{answer.Addr, fmt.Errorf("is in use on the LAN: %s %w on bridge %s", answer.MAC, errAnswers, a.bridge.Name)})
	}
	if a.probed += time.Since(begun); len(found) > 0 && a.probed > probeLimit {
		return nil, fmt.Errorf("%w on bridge %s: %s %w; so is every other address that was probed", store.ErrExhausted, a.bridge.Name, found[0].addr, found[0].why)
	}
	return found, nil
}

// probeLimit is the time after which an ADD stops to probe further addresses of a LAN, because proxy ARP may answer for all.
const probeLimit = 2 * time.Second

// isLAN reports whether the bridge connects to other hosts.
func (a *adding) isLAN() bool {
	if a.cfg.IPAM.NoProbe || a.cfg.Segment() != a.cfg.Bridge || a.bridge == nil || a.bridge.Ours || !a.bridge.Up || a.bridge.MAC == nil {
		return false
	}
	port, err := a.host.UnmanagedPort(a.bridge, identity.IsHostInterface, func(l *link.Link) bool { return identity.MarkOf(l.Alias) != "" || !l.Uplink() })
	if err != nil {
		report.Warn("look for the uplink of bridge %s: %v", a.bridge.Name, err)
	}
	return port != nil
}
