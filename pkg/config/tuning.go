package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Tuning has the keys of the reference plugin tuning for a container interface, except mac and mtu, which
// are Config.MAC and Config.MTU.
type Tuning struct {
	Sysctls  []Sysctl // in the order in which they are to be written
	Promisc  bool
	AllMulti *bool // nil: left as it is
	TxQLen   *int  // packets; nil: left as it is
}

// Sysctl is a sysctl of the container's network namespace.
type Sysctl struct {
	Key   string // as configured: "net.ipv4.conf.IFNAME.rp_filter"
	Value string

	name string // with slashes: "net/ipv4/conf/IFNAME/rp_filter"
}

const (
	ifNamePlaceholder = "IFNAME"  // in a key: the name of the container interface
	maxSysctls        = 1024      // of a configuration, and of args.cni
	maxSysctlName     = 255       // bytes
	maxSysctlValue    = 64 * 1024 // bytes
)

// Name returns the path below /proc/sys for an interface name, which replaces the first IFNAME.
func (s Sysctl) Name(ifname string) string {
	return strings.Replace(s.name, ifNamePlaceholder, ifname, 1)
}

// OfInterface reports whether the sysctl has a directory of an interface, other than all and default:
// it disappears with the interface.
func (s Sysctl) OfInterface() bool {
	parts := strings.Split(s.name, "/")
	if slices.Contains(parts, ifNamePlaceholder) {
		return true
	}
	return len(parts) > 4 && (parts[2] == "conf" || parts[2] == "neigh") && parts[3] != "all" && parts[3] != "default"
}

// IsZero reports whether nothing is set.
func (t Tuning) IsZero() bool { return len(t.Sysctls) == 0 && !t.NeedsInterface() }

// NeedsInterface reports whether there is a setting of the interface, or a sysctl with IFNAME.
func (t Tuning) NeedsInterface() bool {
	return t.Promisc || t.AllMulti != nil || t.TxQLen != nil ||
		slices.ContainsFunc(t.Sysctls, func(s Sysctl) bool { return strings.Contains(s.name, ifNamePlaceholder) })
}

// tuning decodes the keys of the plugin. Those of args.cni take precedence, each sysctl by its name.
func (d *decoder) tuning(top section) Tuning {
	args := d.inner(d.inner(top, "args"), "cni")
	t := Tuning{Promisc: d.flag(top, "promisc")}
	if _, found := args.raw("promisc"); found {
		t.Promisc = d.flag(args, "promisc")
	}
	for _, s := range []section{top, args} {
		if all := d.optionalFlag(s, "allmulti"); all != nil {
			t.AllMulti = all
		}
		if packets := d.optional(s, "txQLen", math.MaxUint32); packets != nil {
			t.TxQLen = packets
		}
		for _, one := range d.sysctls(s) {
			t.Sysctls = slices.DeleteFunc(t.Sysctls, func(other Sysctl) bool { return other.name == one.name })
			t.Sysctls = append(t.Sysctls, one)
		}
	}
	// Those of one interface follow those of all: a write to conf/all, or to ip_forward, sets that of
	// every interface.
	slices.SortFunc(t.Sysctls, func(a, b Sysctl) int {
		if ofOne := b.OfInterface(); a.OfInterface() != ofOne {
			return map[bool]int{true: -1, false: 1}[ofOne]
		}
		return cmp.Compare(a.name, b.name)
	})
	return t
}

// sysctls decodes the key "sysctl". An empty value is not set: writing it has no effect. A name that is
// there twice is an error, as with the reference, also in its two spellings with dots and slashes.
func (d *decoder) sysctls(s section) (all []Sysctl) {
	pairs := d.textPairs(s, "sysctl")
	if !d.atMost(s.path+"sysctl", len(pairs), maxSysctls) {
		return nil
	}
	for _, pair := range pairs {
		one := Sysctl{Key: pair[0], Value: strings.TrimSpace(pair[1])}
		one.name = d.sysctlName(s.path+"sysctl", one.Key)
		if slices.ContainsFunc(all, func(other Sysctl) bool { return other.name == one.name }) {
			d.fail(invalid(s.path+"sysctl", "remove all but one of them", "%q is there twice", one.Key))
		}
		if len(one.Value) > maxSysctlValue || strings.ContainsAny(one.Value, "\x00\n") {
			d.fail(invalid(s.path+"sysctl", "give one line of text", "the value of %q is not one line of at most %d bytes", one.Key, maxSysctlValue))
		}
		if one.Value != "" {
			all = append(all, one)
		}
	}
	return all
}

// textPairs decodes an object of strings, in its order and with repeated keys, which a map would lose.
func (d *decoder) textPairs(s section, key string) (pairs [][2]string) {
	raw, found := s.raw(key)
	if !found {
		return nil
	}
	if value[map[string]string](d, s, key, "an object of strings") == nil {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	_, _ = dec.Token() // the opening brace: the value was decoded above
	for dec.More() {
		name, _ := dec.Token()
		text := ""
		_ = dec.Decode(&text)
		pairs = append(pairs, [2]string{fmt.Sprint(name), text})
	}
	return pairs
}

// sysctlName returns the path below /proc/sys of a key: every dot is a slash, as the reference reads it,
// so that a path cannot lead upwards. Only net/ belongs to a network namespace.
func (d *decoder) sysctlName(key, text string) string {
	const help = "give names that begin with net. and contain IFNAME for the name of the container interface"
	name := strings.TrimPrefix(strings.ReplaceAll(text, ".", "/"), "/")
	isOdd := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case len(name) > maxSysctlName || strings.ContainsFunc(name, isOdd):
		d.fail(invalid(key, help, "%q is not the name of a sysctl", text))
	case !strings.HasPrefix(name, "net/"):
		d.fail(invalid(key, help, "%q is not a sysctl of a network namespace", text))
	case strings.Contains(name, "//") || strings.HasSuffix(name, "/") || strings.Count(name, "/") < 2:
		d.fail(invalid(key, help, "%q has an empty part", text))
	case strings.Count(name, ifNamePlaceholder) > 1:
		d.fail(invalid(key, help, "%q has IFNAME twice, and the first one only is replaced", text))
	}
	return name
}
