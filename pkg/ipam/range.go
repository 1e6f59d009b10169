package ipam

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrInvalid is wrapped by every error about a range or a set that makes no sense.
var ErrInvalid = errors.New("invalid address range")

// Range is one run of addresses of a subnet.
//
// Start and End are both inclusive. Zero values are filled by Complete: Start with the
// address after the network address, End with the last usable one (IPv4: the one before
// broadcast; IPv6: the very last), Gateway with the address after the network address.
// A subnet of two addresses (/31, /127; RFC 3021, RFC 6164) or one (/32, /128) has no
// network or broadcast address to leave out; one of a single address has no default gateway.
type Range struct {
	Subnet  netip.Prefix
	Start   netip.Addr
	End     netip.Addr
	Gateway netip.Addr
}

// Complete fills what was left out and checks the rest. Errors wrap ErrInvalid and name the
// offending key of the configuration (subnet, rangeStart, rangeEnd).
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

// Contains reports whether addr is one of the addresses from Start to End.
func (r *Range) Contains(addr netip.Addr) bool {
	return r.Subnet.Contains(addr) && !addr.Less(r.Start) && !r.End.Less(addr)
}

// Overlaps reports whether both ranges hold a common address.
func (r *Range) Overlaps(other *Range) bool {
	return r.Contains(other.Start) || other.Contains(r.Start)
}

// String is "10.1.2.1-10.1.2.254", the form in which the reference names a range in errors.
func (r *Range) String() string {
	return fmt.Sprintf("%s-%s", r.Start, r.End)
}

// usable is the first and the last address of a subnet that an interface can have.
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

// lastAddr is the address with every host bit set: broadcast, for IPv4.
func lastAddr(subnet netip.Prefix) netip.Addr {
	b := subnet.Addr().AsSlice()
	for bit := subnet.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}
