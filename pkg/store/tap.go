package store

import "github.com/patchbay-cni/patchbay/pkg/jsonwriter"

// Tap is the tap device of an attachment, in the container's network namespace: the guest of a virtual machine has the addresses and
// the MAC of the attachment, and the container interface has no address.
type Tap struct {
	Name string `json:"name"`

	// Owner and Group may open it; nil for any.
	Owner *uint32 `json:"owner,omitempty"`
	Group *uint32 `json:"group,omitempty"`

	// MultiQueue says that it is opened once for each queue.
	MultiQueue bool `json:"multiQueue,omitempty"`
}

// write writes the members of the tap.
func (t *Tap) write(w *jsonwriter.Writer) {
	w.Member("name", func() { w.String(t.Name) })
	for _, one := range []struct {
		name string
		id   *uint32
	}{{"owner", t.Owner}, {"group", t.Group}} {
		if one.id != nil {
			w.Member(one.name, func() { w.Uint(uint64(*one.id)) })
		}
	}
	w.BoolIfSet("multiQueue", t.MultiQueue)
}
