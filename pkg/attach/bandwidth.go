package attach

import (
	"reflect"

	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Bandwidth returns the limits of an attachment for a record, nil without any: those that the configuration has, and the ifb device
// that the names of the attachment derive.
func Bandwidth(b *config.Bandwidth, names identity.Names) *store.Bandwidth {
	if b.IsZero() {
		return nil
	}
	out := &store.Bandwidth{Ingress: recordedRate(b.Ingress), Egress: recordedRate(b.Egress), Shaped: b.Shaped, Unshaped: b.Unshaped}
	if out.Egress != nil {
		out.Device = names.IFB
	}
	return out
}

func recordedRate(r config.Rate) *store.Rate {
	if r.Rate == 0 {
		return nil
	}
	return &store.Rate{Rate: r.Rate, Burst: r.Burst}
}

// SameLimits reports whether the limits of a configuration are those of a record, either of which may be nil for none. The name of the
// ifb device is not compared: it is derived.
func SameLimits(b *config.Bandwidth, was *store.Bandwidth) bool {
	var derived identity.Names
	if was != nil {
		derived.IFB = was.Device
	}
	return reflect.DeepEqual(Bandwidth(b, derived), was)
}

// BandwidthSpec returns the limits in a record in the form of package bandwidth. The record has some.
func BandwidthSpec(r *store.Record) bandwidth.Spec {
	b := r.Bandwidth
	s := bandwidth.Spec{Shaped: b.Shaped, Unshaped: b.Unshaped, Device: b.Device, Alias: r.Alias, Mark: identity.MarkOf(r.Alias)}
	if b.Ingress != nil {
		s.Ingress = bandwidth.Rate(*b.Ingress)
	}
	if b.Egress != nil {
		s.Egress = bandwidth.Rate(*b.Egress)
	}
	return s
}

// Shaped returns a host interface in the form of package bandwidth.
func Shaped(l *link.Link) bandwidth.Interface {
	return bandwidth.Interface{Name: l.Name, Index: l.Index, MTU: l.MTU}
}
