package store

import (
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/jsonwriter"
)

// Bandwidth is the limits of an attachment.
type Bandwidth struct {
	// Ingress is the limit of what the container receives, Egress of what it sends; nil
	// for no limit.
	Ingress *Rate `json:"ingress,omitempty"`
	Egress  *Rate `json:"egress,omitempty"`

	// Shaped are the remote subnets whose traffic is limited, Unshaped those whose
	// traffic is not.
	Shaped   []netip.Prefix `json:"shapedSubnets,omitempty"`
	Unshaped []netip.Prefix `json:"unshapedSubnets,omitempty"`

	// Device is the ifb device of Egress; "" without one.
	Device string `json:"device,omitempty"`
}

// Rate is a limit, in bit/s, with its burst in bits; a burst of 0 is the default.
type Rate struct {
	Rate  uint64 `json:"rate"`
	Burst uint64 `json:"burst,omitempty"`
}

// write writes the members of the limits.
func (b *Bandwidth) write(w *jsonwriter.Writer) {
	for _, one := range []struct {
		name string
		rate *Rate
	}{{"ingress", b.Ingress}, {"egress", b.Egress}} {
		if one.rate != nil {
			w.Member(one.name, func() { w.Object(func() { one.rate.write(w) }) })
		}
	}
	if len(b.Shaped) > 0 {
		jsonwriter.List(w, "shapedSubnets", b.Shaped, w.Prefix)
	}
	if len(b.Unshaped) > 0 {
		jsonwriter.List(w, "unshapedSubnets", b.Unshaped, w.Prefix)
	}
	w.StringIfSet("device", b.Device)
}

// write writes the members of a limit.
func (r *Rate) write(w *jsonwriter.Writer) {
	w.Member("rate", func() { w.Uint(r.Rate) })
	if r.Burst != 0 {
		w.Member("burst", func() { w.Uint(r.Burst) })
	}
}
