package config

import "math"

// DefaultTap is the name of a tap device if the key has none.
const DefaultTap = "tap0"

// Tap is a tap device in the container's network namespace, by which the guest of a virtual machine has the addresses and the MAC of
// the container interface.
type Tap struct {
	Name       string
	Owner      *uint32 // user ID that may open it
	Group      *uint32 // group ID that may open it; of Owner and Group at least one is set
	MultiQueue bool
}

// tap decodes the section "tap"; nil if it is absent. Unknown members are errors: with a misspelt owner another user could open the
// device than was meant.
func (d *decoder) tap(top section) *Tap {
	if _, given := top.raw("tap"); !given {
		return nil
	}
	s := d.inner(top, "tap")
	d.onlyMembers(s, "tap", "name", "owner", "group", "multiQueue")
	t := &Tap{Name: d.text(s, "name"), Owner: d.id(s, "owner"), Group: d.id(s, "group"), MultiQueue: d.flag(s, "multiQueue")}
	if t.Name == "" {
		t.Name = DefaultTap
	}
	if err := ValidateInterfaceName(t.Name); err != nil {
		d.fail(invalid("tap.name", "give 1 to 15 bytes without /, :, % and white space", "%q cannot name an interface: %v", t.Name, err))
	}
	if t.Owner == nil && t.Group == nil { // the kernel lets every user open a tap without both
		t.Owner = new(uint32)
	}
	return t
}

// id decodes the ID of a user or a group; nil if the key is absent. The largest number means none in the kernel.
func (d *decoder) id(s section, key string) *uint32 {
	n := d.optional(s, key, math.MaxUint32-1)
	if n == nil {
		return nil
	}
	id := uint32(*n)
	return &id
}

// checkTap rejects keys that have no meaning for an interface whose addresses are those of a guest.
func (d *decoder) checkTap(c *Config) {
	if c.Tap == nil {
		return
	}
	for _, k := range []struct {
		set  bool
		key  string
		does string
	}{
		{c.DisableContainerInterface, "disableContainerInterface", "no frame passes an interface that is down"},
		{c.EnableDAD, "enabledad", "the guest detects duplicate addresses itself"},
		{c.SBR != nil, "sbr", "the routes are those of the guest"},
		{c.IPAMType == "dhcp", "ipam.type", "the guest asks a DHCP server itself: with this IPAM plugin, the namespace would"},
	} {
		if k.set {
			d.fail(invalid(k.key, "leave one of the two keys out", "has no use together with tap: %s", k.does))
		}
	}
}
