package link

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// addressProtocol marks the addresses that Patchbay adds to bridges that it created (IFA_PROTO, Linux
// 5.18): only these are ever removed again. "ip addr" prints it as "proto 80"; 1 to 3 are the kernel's
// own. An older kernel ignores the attribute: then no address has the mark, and none is removed.
const addressProtocol = 80

// AddressRules are the conditions under which PlanAddresses may change the addresses of a bridge.
type AddressRules struct {
	Own      bool           // the bridge carries BridgeAlias
	Force    bool           // key forceAddress
	Siblings []netip.Prefix // gateways of other ranges of the network, which conflict with none
}

// AddressPlan lists the changes to the addresses of a bridge, in the order in which SetAddresses
// makes them.
type AddressPlan struct {
	Remove []netip.Prefix // conflict with an address of Add
	Add    []netip.Prefix
	Want   []netip.Prefix // all addresses that the bridge must have
}

// PlanAddresses compares the addresses that a bridge has with those that it must have. An address
// that is present needs no change, whatever else the bridge has: a keepalived address, a management
// address, another subnet. A missing one is added beside all others on a bridge of our own. On
// another's bridge it conflicts with an IPv4 address of any subnet and with an IPv6 address of an
// overlapping one, as the reference bridge has it; force adds it nevertheless, and removes the
// addresses that overlap it. A single address (/32, /128) is no subnet and conflicts with none,
// neither does a link-local one. An error wraps ErrClash and names both.
//
// The kernel would accept several IPv4 subnets on one interface. The reference plugin
// refuses them, and so does this, because the usual cause is a configuration whose subnet
// was changed while containers of the old one still exist (cni issue 306, podman issue
// 12306).
func PlanAddresses(has, want []netip.Prefix, rules AddressRules) (AddressPlan, error) {
	plan := AddressPlan{Want: want}
	for _, w := range want {
		if slices.Contains(has, w) || rules.Own && HasGateway(has, w) {
			continue
		}
		plan.Add = append(plan.Add, w)
		for _, h := range has {
			if slices.Contains(want, h) || slices.Contains(rules.Siblings, h) || !conflict(h, w) || rules.Own && !excludes(h, w) {
				continue
			}
			if !rules.Own && !rules.Force {
				return AddressPlan{}, fmt.Errorf("%w: present is %s, required is %s", ErrClash, h, w)
			}
			if h.Overlaps(w) && !slices.Contains(plan.Remove, h) {
				plan.Remove = append(plan.Remove, h)
			}
		}
	}
	return plan, nil
}

// HasGateway reports whether a bridge that has some addresses answers for a gateway: with exactly
// that address or, in IPv6, with the same one and a shorter prefix.
func HasGateway(has []netip.Prefix, gateway netip.Prefix) bool {
	return slices.ContainsFunc(has, func(h netip.Prefix) bool {
		return h == gateway || excludes(h, gateway) && h.Bits() < gateway.Bits()
	})
}

// conflict reports whether an address of an existing bridge excludes a gateway address, by the rules
// of the reference bridge plugin.
func conflict(has, want netip.Prefix) bool {
	switch {
	case has.Addr().Is4() != want.Addr().Is4() || has.Addr().IsLinkLocalUnicast():
		return false
	case excludes(has, want):
		return true
	case has.IsSingleIP():
		return false
	}
	return has.Addr().Is4() || has.Overlaps(want)
}

// excludes reports whether an interface cannot have both addresses: Linux keys an IPv6 address by the
// address alone, and an IPv4 address by address and prefix length.
func excludes(has, want netip.Prefix) bool { return is6(has.Addr()) && has.Addr() == want.Addr() }

// BridgeAddresses returns all addresses of a bridge, and those of them that Patchbay added.
func (h *Host) BridgeAddresses(b *Bridge) (all, own []netip.Prefix, err error) {
	found, err := h.addresses(b.Index, unix.AF_UNSPEC)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, nil, fmt.Errorf("list addresses of bridge %s: %w", b.Name, err)
	}
	for _, a := range found {
		all = append(all, a.prefix)
		if b.Ours && a.protocol == addressProtocol {
			own = append(own, a.prefix)
		}
	}
	return all, own, nil
}

// OwnAddresses returns the addresses of an interface that Patchbay added; none if there is no such
// interface. Every DEL calls it, so it avoids the RTNL lock, which other processes may hold for long
// while links are deleted: the index comes from an ioctl, and address dumps need no RTNL since Linux 6.9.
//
// ENODEV and every other errno of the ioctl mean that there is no address to report; the
// socket is good for it because interface ioctls work on a socket of any family.
func (h *Host) OwnAddresses(name string) (own []netip.Prefix, err error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return nil, nil // no interface can have that name
	}
	if err := unix.IoctlIfreq(h.socket.FD(), unix.SIOCGIFINDEX, req); err != nil {
		return nil, nil
	}
	_, own, err = h.BridgeAddresses(&Bridge{Link: Link{Name: name, Index: int(req.Uint32())}, Ours: true})
	return own, err
}

// SetAddresses executes a plan. An address that is already present or already absent is no error. It
// does not wait until the addresses can be used: see AwaitAddresses.
//
// Removals come first. An IPv6 address that is present with another prefix length makes
// adding it fail with EEXIST. And an IPv4 address that is added beside one of the same
// subnet becomes a secondary address, which the kernel deletes with the primary one (see
// promoteSecondaries).
func (h *Host) SetAddresses(b *Bridge, plan AddressPlan) error {
	for _, prefix := range plan.Remove {
		if err := h.removeGateway(b, prefix); err != nil {
			return err
		}
	}
	for _, prefix := range plan.Add {
		settings := addressSettings{flags: nodad(prefix)}
		if b.Ours {
			settings.protocol = addressProtocol
		}
		err := h.addAddress(b.Index, prefix, settings)
		if err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("add address %s to bridge %s: %w", prefix, b.Name, err)
		}
	}
	return nil
}

// AwaitAddresses waits until a bridge can use its IPv6 addresses, including those that another ADD is
// adding at the same time.
func (h *Host) AwaitAddresses(b *Bridge, want []netip.Prefix) error {
	return h.waitUsable(&b.Link, want)
}

// RetireAddresses removes gateway addresses from a bridge that Patchbay created, and keeps all others.
func (h *Host) RetireAddresses(b *Bridge, retired []netip.Prefix) error {
	if err := h.promoteSecondaries(b, retired); err != nil {
		return err
	}
	for _, prefix := range retired {
		if err := h.removeGateway(b, prefix); err != nil {
			return err
		}
	}
	return nil
}

// removeGateway removes an address of a bridge; one that is absent is no error.
//
// RTM_DELADDR compares the prefix length too: 10.1.0.1/16 stays if 10.1.0.1/24 is to be
// removed, and the kernel returns EADDRNOTAVAIL.
func (h *Host) removeGateway(b *Bridge, prefix netip.Prefix) error {
	err := h.removeAddress(b.Index, prefix)
	if err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
		return fmt.Errorf("remove address %s from bridge %s: %w", prefix, b.Name, err)
	}
	return nil
}

// promoteSecondaries enables the sysctl promote_secondaries of a bridge if it is needed. Without it Linux
// removes, with the first IPv4 address of a subnet (the primary one), all others of that subnet.
//
// The kernel's default is 0; systemd sets 1 (50-default.conf in sysctl.d).
// conf.all counts as well as the interface's own value (IN_DEV_ORCONF, linux/inetdevice.h).
// It is left at 1: the gateways that remain need it as long as they exist.
func (h *Host) promoteSecondaries(b *Bridge, retired []netip.Prefix) error {
	has, err := h.Addresses(b.Index)
	if err != nil {
		return err
	}
	together := slices.ContainsFunc(retired, func(r netip.Prefix) bool {
		return slices.ContainsFunc(has, func(h netip.Prefix) bool {
			return h != r && h.Masked() == r.Masked() && h.Addr().Is4()
		})
	})
	path := sysctl("ipv4", "conf", b.Name, "promote_secondaries")
	if !together || getSysctl(path) == "1" || getSysctl(sysctl("ipv4", "conf", "all", "promote_secondaries")) == "1" {
		return nil
	}
	return setSysctl(path, "1")
}

// nodad returns IFA_F_NODAD for an IPv6 address, which skips duplicate address detection and its
// delay of a second: IPAM has reserved the address for this interface alone (plugins issue 680,
// kubernetes issue 54651).
//
// Optimistic duplicate address detection (RFC 4429, IFA_F_OPTIMISTIC) would be the middle
// way. It is not used: it needs CONFIG_IPV6_OPTIMISTIC_DAD and the sysctl optimistic_dad,
// and an optimistic address is not chosen as source while another one exists.
func nodad(prefix netip.Prefix) uint32 {
	if is6(prefix.Addr()) {
		return unix.IFA_F_NODAD
	}
	return 0
}
