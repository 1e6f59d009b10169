package store

import (
	"fmt"
	"strconv"

	"github.com/patchbay-cni/patchbay/pkg/jsonwriter"
)

// VLANs are the VLANs of a bridge port.
type VLANs struct {
	// Native is the VLAN of frames without a tag: the PVID of the port.
	Native int `json:"native"`

	// Trunk are the VLANs whose frames pass with their tag, sorted and without overlaps.
	Trunk []VLANRange `json:"trunk,omitempty"`

	// KeepDefault says that the port also stays in the default VLAN of the bridge.
	KeepDefault bool `json:"keepDefault,omitempty"`
}

// String returns "VLAN 100" or "VLAN 1, trunk of 10-20, 30".
func (v *VLANs) String() string {
	text := fmt.Sprintf("VLAN %d", v.Native)
	for i, r := range v.Trunk {
		text += map[bool]string{true: ", trunk of ", false: ", "}[i == 0] + r.String()
	}
	return text
}

// VLANRange is a range of VLAN IDs, both ends included.
type VLANRange struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// String returns "5" or "10-20".
func (r VLANRange) String() string {
	if r.First == r.Last {
		return strconv.Itoa(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// RoutedBy returns the name of the host's interface by which the host routes packets of the attachment: that with the
// gateway addresses.
func (r *Record) RoutedBy() string {
	if r.Gateway && len(r.Addresses) > 0 {
		return r.SegmentName()
	}
	return r.Bridge
}

// SegmentName returns the layer 2 segment of the attachment: its bridge, or a VLAN of it.
func (r *Record) SegmentName() string {
	if r.Segment != "" {
		return r.Segment
	}
	return r.Bridge
}

// write writes the members of the VLANs.
func (v *VLANs) write(w *jsonwriter.Writer) {
	w.Member("native", func() { w.Number(int64(v.Native)) })
	if len(v.Trunk) > 0 {
		jsonwriter.List(w, "trunk", v.Trunk, func(r VLANRange) {
			w.Object(func() {
				w.Member("first", func() { w.Number(int64(r.First)) })
				w.Member("last", func() { w.Number(int64(r.Last)) })
			})
		})
	}
	w.BoolIfSet("keepDefault", v.KeepDefault)
}
