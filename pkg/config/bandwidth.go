package config

import "net/netip"

// Bandwidth is the limits of an attachment, as the reference plugin bandwidth defines them.
type Bandwidth struct {
	Ingress Rate // of what the container receives
	Egress  Rate // of what the container sends

	// Shaped are the remote subnets whose traffic is limited, Unshaped those whose
	// traffic is not. At most one of the two is set; without either all is limited.
	Shaped, Unshaped []netip.Prefix
}

// Rate is a limit for one direction.
type Rate struct {
	Rate  uint64 // bit/s; 0 for no limit
	Burst uint64 // bits; 0 for the default
}

// IsZero reports whether the traffic is not limited.
func (b *Bandwidth) IsZero() bool { return b == nil || b.Ingress.Rate == 0 && b.Egress.Rate == 0 }

// ParseBandwidth decodes the limits in the configuration of the chained plugin bandwidth;
// nil if it has none. Every error is an *Error.
func ParseBandwidth(data []byte) (*Bandwidth, error) {
	top, bad := object(data)
	if bad != nil {
		return nil, bad
	}
	d := &decoder{}
	b := d.bandwidth(top)
	if d.err != nil {
		return nil, d.err
	}
	return b, nil
}

// bandwidth decodes the limits; nil if there are none. The keys are those of the
// reference plugin, on the top level as it has them or in the object bandwidth.
//
// As in the reference, rates of the configuration replace those of the runtime as a
// whole, so that an administrator can limit what pods ask for. A rate or burst of 0 is
// one that is not given, so it does not replace any.
func (d *decoder) bandwidth(top section) *Bandwidth {
	static, object := d.limits(top), d.limits(d.inner(top, "bandwidth"))
	runtime := d.limits(d.inner(d.inner(top, "runtimeConfig"), "bandwidth"))
	switch {
	case !static.isGiven():
		static = object
	case object.isGiven():
		d.fail(invalid("bandwidth", "leave out the object, or the same keys outside of it", "the limits are given twice"))
	}
	out := static
	if out.Ingress == (Rate{}) && out.Egress == (Rate{}) {
		out.Ingress, out.Egress = runtime.Ingress, runtime.Egress
	}
	if len(out.Shaped)+len(out.Unshaped) == 0 { // those of the network also apply to rates of a pod
		out.Shaped, out.Unshaped = runtime.Shaped, runtime.Unshaped
	}
	if d.err != nil || out.IsZero() {
		return nil
	}
	return &out
}

// isGiven reports whether a section has a limit or a subnet.
func (b *Bandwidth) isGiven() bool {
	return b.Ingress != (Rate{}) || b.Egress != (Rate{}) || len(b.Shaped)+len(b.Unshaped) > 0
}

// limits decodes the limits of one section.
func (d *decoder) limits(s section) Bandwidth {
	b := Bandwidth{
		Ingress: Rate{d.bits(s, "ingressRate"), d.bits(s, "ingressBurst")},
		Egress:  Rate{d.bits(s, "egressRate"), d.bits(s, "egressBurst")},
		Shaped:  d.subnets(s, "shapedSubnets"), Unshaped: d.subnets(s, "unshapedSubnets"),
	}
	d.checkRate(b.Ingress, s.path+"ingress")
	d.checkRate(b.Egress, s.path+"egress")
	if len(b.Shaped) > 0 && len(b.Unshaped) > 0 {
		d.fail(invalid(s.path+"unshapedSubnets", "leave out one of the two keys", "cannot be given together with shapedSubnets"))
	}
	return b
}

// checkRate checks the rate and the burst of one direction, whose keys begin with key.
func (d *decoder) checkRate(r Rate, key string) {
	switch {
	case r.Rate == 0 && r.Burst != 0:
		d.fail(invalid(key+"Burst", "give the rate too, or leave the key out", "there is no %sRate", key))
	case r.Rate != 0 && r.Rate < minRate:
		d.fail(invalid(key+"Rate", "give at least 1000 bit/s, or 0 for no limit", "%d bit/s is too slow", r.Rate))
	}
}

// minRate, in bit/s, is the slowest rate. A full packet then takes 12 s. The kernel counts
// whole bytes per second, and slower rates are units that were mistaken.
const minRate = 1000

// bits decodes a number of bits or of bit/s, of 64 bits.
func (d *decoder) bits(s section, key string) uint64 {
	return value[uint64](d, s, key, "a whole number from 0 to 18446744073709551615")
}

// subnets decodes a list of subnets. Each is a filter that the kernel compares with every
// packet, one after the other.
func (d *decoder) subnets(s section, key string) []netip.Prefix {
	list := d.prefixes(s, key)
	if !d.atMost(s.path+key, len(list), maxSubnets) {
		return nil
	}
	return list
}
