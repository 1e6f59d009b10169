package config

import (
	"cmp"
	"fmt"
	"slices"
)

// VLANs are the keys vlan, vlanTrunk and preserveDefaultVlan of the reference bridge. The zero value asks for nothing.
type VLANs struct {
	ID          int         // vlan: frames of the container without a tag are of this VLAN, 1 to 4094; 0 for none
	Trunk       []VLANRange // vlanTrunk: VLANs whose frames pass with their tag; sorted, without overlaps
	KeepDefault bool        // preserveDefaultVlan: the port also stays in the default VLAN of the bridge
}

// VLANRange is a range of VLAN IDs, both ends included.
type VLANRange struct{ First, Last int }

// String returns "5" or "10-20".
func (r VLANRange) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// AreSet reports whether the configuration asks for VLANs.
func (v VLANs) AreSet() bool { return v.ID != 0 || len(v.Trunk) > 0 }

// Native returns the VLAN of frames without a tag: as in the reference bridge that is 1 where vlanTrunk is set alone.
func (v VLANs) Native() int {
	if v.ID == 0 && len(v.Trunk) > 0 {
		return defaultNativeVLAN
	}
	return v.ID
}

const (
	maxVLAN           = 4094 // IEEE 802.1Q: 0 means no VLAN, 4095 is reserved
	defaultNativeVLAN = 1
	maxTrunkEntries   = maxVLAN
)

const (
	fixTrunk     = `give {"id": 5}, {"minID": 10, "maxID": 20}, or all three`
	fixTrunkID   = "give a number from 1 to 4094"
	fixTrunkOnce = "name each VLAN once"
)

// vlans decodes vlan, vlanTrunk and preserveDefaultVlan.
func (d *decoder) vlans(top section) VLANs {
	v := VLANs{ID: d.number(top, "vlan", 1, maxVLAN), KeepDefault: d.flag(top, "preserveDefaultVlan")}
	for _, entry := range d.inners(top, "vlanTrunk", maxTrunkEntries) {
		v.Trunk = append(v.Trunk, d.trunkEntry(entry)...)
	}
	d.checkTrunk(v)
	if !v.AreSet() {
		return VLANs{} // preserveDefaultVlan alone asks for nothing
	}
	return v
}

// trunkEntry decodes an entry of vlanTrunk, which may have both forms.
func (d *decoder) trunkEntry(s section) (ranges []VLANRange) {
	id, first, last := d.trunkID(s, "id"), d.trunkID(s, "minID"), d.trunkID(s, "maxID")
	here := s.path[:len(s.path)-1]
	switch {
	case (first == nil) != (last == nil):
		missing := "minID"
		if last == nil {
			missing = "maxID"
		}
		d.fail(invalid(here, fixTrunk, "%s is missing", missing))
	case id == nil && first == nil:
		d.fail(invalid(here, fixTrunk, "names no VLAN"))
	case first != nil && *first > *last:
		d.fail(invalid(here, "exchange them", "minID %d is greater than maxID %d", *first, *last))
	}
	if d.err != nil {
		return nil
	}
	if id != nil {
		ranges = append(ranges, VLANRange{*id, *id})
	}
	if first != nil {
		ranges = append(ranges, VLANRange{*first, *last})
	}
	return ranges
}

// trunkID decodes a VLAN ID of vlanTrunk; nil if the key is absent.
func (d *decoder) trunkID(s section, key string) *int {
	id := value[*int](d, s, key, "a whole number")
	if id != nil && (*id < 1 || *id > maxVLAN) {
		d.fail(invalid(s.path+key, fixTrunkID, "%d is out of range", *id))
	}
	return id
}

// checkTrunk sorts the ranges of vlanTrunk, and rejects ranges that overlap each other or contain vlan: the kernel would
// apply the last of two contradicting entries, so that the native VLAN would silently be lost.
func (d *decoder) checkTrunk(v VLANs) {
	slices.SortFunc(v.Trunk, func(a, b VLANRange) int { return cmp.Or(a.First-b.First, a.Last-b.Last) })
	for i, r := range v.Trunk {
		if i > 0 && r.First <= v.Trunk[i-1].Last {
			d.fail(invalid("vlanTrunk", fixTrunkOnce, "%s and %s overlap", v.Trunk[i-1], r))
		}
		if v.ID >= r.First && v.ID <= r.Last {
			d.fail(invalid("vlanTrunk", "leave that VLAN out of vlanTrunk: its frames already pass, without a tag", "%s contains %d, which is vlan", r, v.ID))
		}
	}
}

// Segment returns the name of the network's layer 2 segment: its bridge, or a VLAN of it as in "br0.100". VLAN 1 is that of
// the bridge itself.
func (c *Config) Segment() string {
	if native := c.VLANs.Native(); native > defaultNativeVLAN {
		return fmt.Sprintf("%s.%d", c.Bridge, native)
	}
	return c.Bridge
}

// GatewayLink returns the name of the host's interface that has the gateway addresses: the bridge, or its interface of a VLAN,
// which has the name that the reference bridge gives it.
func (c *Config) GatewayLink() string {
	if c.IsGateway && c.IPAMType != "" {
		return c.Segment()
	}
	return c.Bridge
}

// checkVLANGateway rejects a bridge whose name is too long with the VLAN of its gateway.
func (d *decoder) checkVLANGateway(c *Config) {
	if err := ValidateInterfaceName(c.GatewayLink()); err != nil {
		d.fail(invalid("bridge", "give a shorter name", "%q cannot name the gateway's interface of VLAN %d: %v", c.GatewayLink(), c.VLANs.ID, err))
	}
}
