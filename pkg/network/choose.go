package network

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/link"
)

// choice is a Spec whose open fields are being chosen.
type choice struct {
	Spec
	host   *link.Host
	others []Network
}

// choose fills in bridge and subnets, and checks all against the other networks and the host.
func (c *choice) choose() error {
	for _, o := range c.others {
		if o.Name == c.Name {
			return fmt.Errorf("network %s: %w: %s configures it; choose another name, or remove that one", c.Name, ErrTaken, o.Path)
		}
	}
	if c.Bridge == "" {
		c.Bridge = bridgeName(c.Name)
	}
	if err := c.checkBridge(); err != nil {
		return err
	}
	if c.DHCP {
		return nil
	}
	if len(c.Subnets) > 0 {
		if err := c.checkSubnetsFree(); err != nil {
			return err
		}
	}
	return c.addSubnets()
}

// bridgeName derives the name of a bridge from that of a network: "pb-" and the name, which is
// replaced by a hash if it is longer than the kernel accepts (15 bytes).
func bridgeName(network string) string {
	if network == cli.DefaultName {
		return cli.DefaultBridge
	}
	if name := "pb-" + network; len(name) <= 15 {
		return name
	}
	sum := sha256.Sum256([]byte(network))
	return "pb-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:10])
}

// checkBridge refuses a bridge that another network has, unless both are VLANs of it, and an
// interface of another program, except for a LAN whose DHCP server assigns addresses.
func (c *choice) checkBridge() error {
	for _, o := range c.others {
		if o.Bridge != c.Bridge || c.DHCP {
			continue
		}
		if c.VLAN == 0 || o.VLAN == 0 || o.VLAN == c.VLAN {
			return fmt.Errorf("bridge %s: %w: it is that of network %s (%s); choose another --bridge, or give each network its own --vlan", c.Bridge, ErrTaken, o.Name, o.Path)
		}
	}
	b, err := c.host.Bridge(c.Bridge)
	switch {
	case errors.Is(err, link.ErrNotFound) && c.DHCP:
		return fmt.Errorf("bridge %s: %w: it does not exist; DHCP needs a bridge whose LAN has a DHCP server", c.Bridge, ErrInvalid)
	case errors.Is(err, link.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("bridge %s: %w: %w; choose another --bridge", c.Bridge, ErrTaken, err)
	case !b.Ours && !c.DHCP:
		return fmt.Errorf("bridge %s: %w: another program created it; choose another --bridge, or pass --dhcp if its LAN assigns addresses", c.Bridge, ErrTaken)
	}
	return nil
}

// checkSubnetsFree refuses subnets that overlap one of another network or a route of the host.
func (c *choice) checkSubnetsFree() error {
	for _, p := range c.Subnets {
		for _, o := range c.others {
			i := slices.IndexFunc(o.Subnets, p.Overlaps)
			if i >= 0 {
				return fmt.Errorf("subnet %s: %w: network %s (%s) has %s; choose another --subnet", p, ErrTaken, o.Name, o.Path, o.Subnets[i])
			}
		}
		free, err := c.host.FirstUnrouted([]netip.Prefix{p}, c.Bridge)
		if err != nil {
			return err
		}
		if !free.IsValid() {
			return fmt.Errorf("subnet %s: %w: a route of this host overlaps it; choose another --subnet", p, ErrTaken)
		}
	}
	return nil
}

// addSubnets chooses an IPv4 subnet if none is given, and an IPv6 one if that is asked for.
func (c *choice) addSubnets() error {
	has := func(is4 bool) bool {
		return slices.ContainsFunc(c.Subnets, func(p netip.Prefix) bool { return p.Addr().Is4() == is4 })
	}
	if len(c.Subnets) == 0 {
		free, err := c.host.FirstUnrouted(c.unconfigured(), c.Bridge)
		if err != nil {
			return err
		}
		if !free.IsValid() {
			return fmt.Errorf("%w: no free subnet: routes of this host and other networks overlap all of 10.78.0.0/24 to 10.140.0.0/24; pass --subnet", ErrTaken)
		}
		c.Subnets = []netip.Prefix{free}
	}
	if c.IPv6 && !has(false) {
		c.Subnets = append(c.Subnets, uniqueLocal())
	}
	return nil
}

// unconfigured returns the subnets that may be chosen and that no other network has.
func (c *choice) unconfigured() (free []netip.Prefix) {
	for second := 78; second <= 140; second++ {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(second)}), 24)
		if !slices.ContainsFunc(c.others, func(o Network) bool { return slices.ContainsFunc(o.Subnets, p.Overlaps) }) {
			free = append(free, p)
		}
	}
	return free
}

// uniqueLocal returns a random /64 of unique local addresses: 40 random bits, subnet 0 (RFC 4193 section 3.1).
func uniqueLocal() netip.Prefix {
	a := [16]byte{0xfd}
	_, _ = rand.Read(a[1:6]) // never fails (Go 1.24)
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}
