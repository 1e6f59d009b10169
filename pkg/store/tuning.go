package store

import "net/netip"

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
func (r *Record) writeContainer(w *recordWriter) {
	if r.Tuning != nil {
		w.member("tuning", func() {
			w.object(func() {
				w.member("set", func() { w.object(func() { r.Tuning.Set.write(w) }) })
				if r.Tuning.Was != nil {
					w.member("was", func() { w.object(func() { r.Tuning.Was.write(w) }) })
				}
			})
		})
	}
	if r.SourceRouting != nil {
		w.member("sourceRouting", func() { w.object(func() { r.SourceRouting.write(w) }) })
	}
}

// write writes the members of settings.
func (v TuningValues) write(w *recordWriter) {
	if len(v.Sysctls) > 0 {
		writeList(w, "sysctls", v.Sysctls, func(s Sysctl) {
			w.object(func() {
				w.member("name", func() { w.string(s.Name) })
				w.member("value", func() { w.string(s.Value) })
				w.stringIfSet("kernel", s.Kernel)
			})
		})
	}
	w.stringIfSet("mac", v.MAC)
	w.intIfSet("mtu", v.MTU)
	w.flag("promisc", v.Promisc)
	w.flag("allmulti", v.AllMulti)
	if v.TxQLen != nil {
		w.member("txQLen", func() { w.number(int64(*v.TxQLen)) })
	}
}

// flag writes true or false, if it is present.
func (w *recordWriter) flag(name string, value *bool) {
	if value == nil {
		return
	}
	text := "false"
	if *value {
		text = "true"
	}
	w.member(name, func() { w.text = append(w.text, text...) })
}

// write writes the members of source-based routing.
func (s *SourceRouting) write(w *recordWriter) {
	writeList(w, "rules", s.Rules, func(r SourceRule) {
		w.object(func() {
			w.member("address", func() { w.prefix(r.Address) })
			w.addrIfSet("gateway", r.Gateway)
			w.member("table", func() { w.number(int64(r.Table)) })
		})
	})
	w.boolIfSet("shared", s.Shared)
}
