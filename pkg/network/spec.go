package network

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/config"
)

// Spec is what the caller of Create decides; the rest is chosen.
type Spec struct {
	Name     string         // of the network (CNI SPEC section 1)
	Subnets  []netip.Prefix // at most one of each family; none: a free IPv4 /24, and with IPv6 an fd00::/8 /64
	Bridge   string         // "" to derive one from the name
	VLAN     int            // of the bridge ports; 0 for none
	IPv6     bool           // also a subnet of unique local addresses (RFC 4193)
	Isolated bool           // ingressPolicy isolated: no traffic between its containers, nor with other isolated networks
	DHCP     bool           // addresses of a DHCP server on the LAN of an existing bridge
}

// Errors of this package. Each is wrapped with the name and what was found.
var (
	ErrInvalid = errors.New("invalid network")
	ErrTaken   = errors.New("already in use")
	ErrUnknown = errors.New("no network")
	ErrNotOurs = errors.New("not created by patchbay network create")
)

// check returns an error for a combination that no host can have. It wraps ErrInvalid.
func (s Spec) check() error {
	switch {
	case !config.ValidName(s.Name):
		return fmt.Errorf("%w: name %q; use letters, digits, dots, underscores and dashes, a letter or digit first", ErrInvalid, s.Name)
	case len(s.Name) > maxName:
		return fmt.Errorf("%w: a name of %d bytes; use at most %d", ErrInvalid, len(s.Name), maxName)
	case s.VLAN < 0 || s.VLAN > 4094:
		return fmt.Errorf("%w: VLAN %d; use 1 to 4094", ErrInvalid, s.VLAN)
	case s.DHCP && (len(s.Subnets) > 0 || s.IPv6 || s.Isolated):
		return fmt.Errorf("%w: the DHCP server chooses the addresses and the LAN is the gateway; omit --subnet, --ipv6 and --isolated", ErrInvalid)
	case s.DHCP && s.Bridge == "":
		return fmt.Errorf("%w: DHCP needs a bridge whose LAN has a DHCP server; pass --bridge", ErrInvalid)
	}
	if s.Bridge != "" {
		if err := config.ValidateInterfaceName(s.Bridge); err != nil {
			return fmt.Errorf("%w: bridge: %w", ErrInvalid, err)
		}
	}
	return s.checkSubnets()
}

// maxName is the greatest length of a name in bytes: file names may have 255.
const maxName = 200

func (s Spec) checkSubnets() error {
	seen := map[bool]netip.Prefix{}
	for _, p := range s.Subnets {
		is4 := p.Addr().Is4()
		most := 128
		if is4 {
			most = 32
		}
		switch {
		case p != p.Masked():
			return fmt.Errorf("%w: subnet %s has host bits; the subnet of this address is %s", ErrInvalid, p, p.Masked())
		case p.Bits() > most-2:
			return fmt.Errorf("%w: subnet %s has no address beside the gateway's; use at least a /%d", ErrInvalid, p, most-2)
		case p.Bits() < 8, p.Addr().IsMulticast(), p.Addr().IsLoopback(), p.Addr().IsUnspecified(), p.Addr().IsLinkLocalUnicast():
			return fmt.Errorf("%w: subnet %s cannot be that of containers; use a private one such as 10.78.0.0/24", ErrInvalid, p)
		case seen[is4].IsValid():
			return fmt.Errorf("%w: subnets %s and %s are of the same family; pass one of each", ErrInvalid, seen[is4], p)
		}
		seen[is4] = p
	}
	return nil
}
