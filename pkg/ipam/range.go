package ipam

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrInvalid is wrapped by every error about a range or a set.
var ErrInvalid = errors.New("invalid address range")

// Range is a part of a subnet.
//
// Start and End are inclusive. Complete fills zero values as host-local does: Start is
// the address after the network address, End the last usable address (IPv4: the one
// before the broadcast address; IPv6: the last one), and Gateway the address after the
// network address. Subnets of two addresses (/31, RFC 3021; /127, RFC 6164) or one (/32,
// /128) have no network or broadcast address; one of a single address has no default
// gateway.
type Range struct {
	Subnet  netip.Prefix
	Start   netip.Addr
	End     netip.Addr
	Gateway netip.Addr
}

// Complete fills zero values and checks the others. Errors wrap ErrInvalid and name the
// key of the configuration (subnet, rangeStart, rangeEnd, gateway).
func (r *Range) Complete() error {
	if !r.Subnet.IsValid() {
		return fmt.Errorf("%w: subnet is missing", ErrInvalid)
	}
	if masked := r.Subnet.Masked(); masked != r.Subnet {
		return fmt.Errorf("%w: subnet %s has host bits set, %s is meant", ErrInvalid, r.Subnet, masked)
	}
	first, last := usable(r.Subnet)
	if !r.Start.IsValid() {
		r.Start = first
	}
	if !r.End.IsValid() {
		r.End = last
	}
	if !r.Gateway.IsValid() && !r.Subnet.IsSingleIP() {
		r.Gateway = r.Subnet.Addr().Next()
	}
	return r.check()
}

// check checks the values against each other.
func (r *Range) check() error {
	if !r.Subnet.Contains(r.Start) {
		return fmt.Errorf("%w: rangeStart %s is not in subnet %s", ErrInvalid, r.Start, r.Subnet)
	}
	if !r.Subnet.Contains(r.End) {
		return fmt.Errorf("%w: rangeEnd %s is not in subnet %s", ErrInvalid, r.End, r.Subnet)
	}
	if r.End.Less(r.Start) {
		return fmt.Errorf("%w: rangeEnd %s comes before rangeStart %s", ErrInvalid, r.End, r.Start)
	}
	if r.Gateway.IsValid() && r.Gateway.Is4() != r.Subnet.Addr().Is4() {
		return fmt.Errorf("%w: gateway %s is of another family than subnet %s", ErrInvalid, r.Gateway, r.Subnet)
	}
	return nil
}

// Contains reports whether addr is from Start to End.
func (r *Range) Contains(addr netip.Addr) bool {
	return r.Subnet.Contains(addr) && !addr.Less(r.Start) && !r.End.Less(addr)
}

// Overlaps reports whether both ranges have an address in common.
func (r *Range) Overlaps(other *Range) bool {
	return r.Contains(other.Start) || other.Contains(r.Start)
}

// String returns a text such as "10.1.2.1-10.1.2.254", as in errors of host-local.
func (r *Range) String() string {
	return fmt.Sprintf("%s-%s", r.Start, r.End)
}

// usable returns the first and the last address of a subnet that an interface can have.
func usable(subnet netip.Prefix) (first, last netip.Addr) {
	base, end := subnet.Addr(), lastAddr(subnet)
	if subnet.Bits() >= subnet.Addr().BitLen()-1 {
		return base, end
	}
	if base.Is4() {
		end = end.Prev()
	}
	return base.Next(), end
}

// errGateway is the refusal of a gateway.
var errGateway = errors.New("is the gateway of its subnet")

// Edge returns why no host may have an address in its subnet, as a clause that begins
// with a verb: it is the network or broadcast address (RFC 1122 section 3.2.1.3), or the
// Subnet-Router anycast address (RFC 4291 section 2.6.1). It returns nil for all others,
// and in a subnet of one or two addresses.
func Edge(address netip.Prefix) error {
	subnet, addr := address.Masked(), address.Addr()
	switch {
	case subnet.Bits() >= addr.BitLen()-1:
		return nil
	case addr == subnet.Addr() && addr.Is4():
		return fmt.Errorf("is the network address of %s", subnet)
	case addr == subnet.Addr():
		return fmt.Errorf("is the router anycast address of %s", subnet)
	case addr.Is4() && addr == lastAddr(subnet):
		return fmt.Errorf("is the broadcast address of %s", subnet)
	}
	return nil
}

// lastAddr returns the address with all host bits set; for IPv4, the broadcast address.
func lastAddr(subnet netip.Prefix) netip.Addr {
	b := subnet.Addr().AsSlice()
	for bit := subnet.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}
