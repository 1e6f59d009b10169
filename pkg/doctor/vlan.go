package doctor

import (
	"errors"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// segments reports attachments with VLANs whose bridge does not keep them apart, whose port is in other VLANs, or whose gateway
// has no interface.
func (x *examination) segments() (found []Finding, err error) {
	for _, b := range x.bridges {
		now, err := x.host.Bridge(b.name)
		if err != nil {
			continue // hostInterfaces reports it
		}
		for _, r := range b.records {
			if r.VLANs == nil {
				continue
			}
			seen, err := x.outOfSegment(now, r)
			if err != nil {
				return found, err
			}
			if seen != "" {
				found = append(found, Finding{
					Says: fmt.Sprintf("%s is not in its VLAN: it may reach other VLANs, or nothing", identity.Label(r)),
					Seen: seen, Fix: []string{"patchbay reload"},
				})
			}
		}
	}
	return found, nil
}

// outOfSegment returns how a bridge port differs from the VLANs of its record; "" if it does not.
func (x *examination) outOfSegment(b *link.Bridge, r *store.Record) (string, error) {
	if _, err := x.host.Gate(b, r.RoutedBy()); err != nil {
		return err.Error(), nil
	}
	l, err := x.host.Link(r.HostLink)
	if errors.Is(err, link.ErrNotFound) || err == nil && l.Master != b.Index {
		return "", nil // hostInterfaces reports it
	}
	if err != nil {
		return "", err
	}
	drift, err := x.host.VLANDrift(l, b, *attach.PortFlags(r).VLANs)
	if err != nil || len(drift) == 0 {
		return "", err
	}
	return andMore(drift), nil
}
