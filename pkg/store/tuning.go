package store

import (
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/jsonwriter"
)

// Tuning is what ADD set on the container interface and in its namespace (the keys sysctl, promisc,
// allmulti and txQLen).
type Tuning struct {
	Set TuningValues `json:"set"`

	// Was are the values that DEL restores: those of an interface that DEL keeps. nil if the interface
	// is deleted with them.
	Was *TuningValues `json:"was,omitempty"`
}

// TuningValues are settings of a container interface. A field that is not present is not set.
type TuningValues struct {
	Sysctls  []Sysctl `json:"sysctls,omitempty"`
	MAC      string   `json:"mac,omitempty"`
	MTU      int      `json:"mtu,omitempty"` // bytes
	Promisc  *bool    `json:"promisc,omitempty"`
	AllMulti *bool    `json:"allmulti,omitempty"`
	TxQLen   *int     `json:"txQLen,omitempty"` // packets
}

// Sysctl is a sysctl of the container's network namespace.
type Sysctl struct {
	// Name is the path below /proc/sys, "net/ipv4/conf/eth0/rp_filter".
	Name  string `json:"name"`
	Value string `json:"value"`

	// Kernel is the value that the kernel had after Value was written, if that is another one: it
	// rounds some times, and sorts lists of ports.
	Kernel string `json:"kernel,omitempty"`
}

// SourceRouting is source-based routing in the container (the key sbr).
type SourceRouting struct {
	Rules []SourceRule `json:"rules"`

	// Shared says that the table is the configuration's: others fill it, and DEL deletes the rules only.
	Shared bool `json:"shared,omitempty"`
}

// SourceRule is the policy rule "from Address lookup Table".
type SourceRule struct {
	Address netip.Prefix `json:"address"` // with the prefix length of its subnet
	Gateway netip.Addr   `json:"gateway,omitzero"`
	Table   int          `json:"table"`
}

// writeContainer writes what ADD changed in the container beside addresses and routes.
func (r *Record) writeContainer(w *jsonwriter.Writer) {
	if r.Tuning != nil {
		w.Member("tuning", func() {
			w.Object(func() {
				w.Member("set", func() { w.Object(func() { r.Tuning.Set.write(w) }) })
				if r.Tuning.Was != nil {
					w.Member("was", func() { w.Object(func() { r.Tuning.Was.write(w) }) })
				}
			})
		})
	}
	if r.SourceRouting != nil {
		w.Member("sourceRouting", func() { w.Object(func() { r.SourceRouting.write(w) }) })
	}
}

// write writes the members of settings.
func (v TuningValues) write(w *jsonwriter.Writer) {
	if len(v.Sysctls) > 0 {
		jsonwriter.List(w, "sysctls", v.Sysctls, func(s Sysctl) {
			w.Object(func() {
				w.Member("name", func() { w.String(s.Name) })
				w.Member("value", func() { w.String(s.Value) })
				w.StringIfSet("kernel", s.Kernel)
			})
		})
	}
	w.StringIfSet("mac", v.MAC)
	w.IntIfSet("mtu", v.MTU)
	w.BoolIfNotNil("promisc", v.Promisc)
	w.BoolIfNotNil("allmulti", v.AllMulti)
	if v.TxQLen != nil {
		w.Member("txQLen", func() { w.Number(int64(*v.TxQLen)) })
	}
}

// write writes the members of source-based routing.
func (s *SourceRouting) write(w *jsonwriter.Writer) {
	jsonwriter.List(w, "rules", s.Rules, func(r SourceRule) {
		w.Object(func() {
			w.Member("address", func() { w.Prefix(r.Address) })
			w.AddrIfSet("gateway", r.Gateway)
			w.Member("table", func() { w.Number(int64(r.Table)) })
		})
	})
	w.BoolIfSet("shared", s.Shared)
}
