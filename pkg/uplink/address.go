package uplink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Attributes and flags of linux/if_addr.h that x/sys/unix does not have for every architecture.
const (
	ifaProto     = 11        // IFA_PROTO, Linux 5.18
	protoKernel  = 3         // IFAPROT_KERNEL_LL: a link-local address that the kernel generated
	infinite     = 1<<32 - 1 // lifetime
	cacheInfoLen = 16        // struct ifa_cacheinfo
)

// settable are the flags of an address that a request may set; the others are of the kernel.
const settable = unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR | unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_MCAUTOJOIN | unix.IFA_F_NODAD

// address is the body of an RTM_NEWADDR message.
type address []byte

func (a address) is6() bool     { return a[0] == unix.AF_INET6 }
func (a address) index() uint32 { return binary.NativeEndian.Uint32(a[4:]) }

// flags returns IFA_FLAGS, which has more bits than the header.
func (a address) flags() uint32 {
	if value := attribute(a, addressHeader, unix.IFA_FLAGS); value != nil {
		return number32(value)
	}
	return uint32(a[2])
}

// prefix returns the local address with its prefix length.
func (a address) prefix() netip.Prefix {
	value := attribute(a, addressHeader, unix.IFA_LOCAL)
	if value == nil {
		value = attribute(a, addressHeader, unix.IFA_ADDRESS)
	}
	addr, _ := netip.AddrFromSlice(value)
	return netip.PrefixFrom(addr, int(a[1]))
}

// lifetimes returns the preferred and the valid lifetime in seconds.
func (a address) lifetimes() (preferred, valid uint32) {
	info := attribute(a, addressHeader, unix.IFA_CACHEINFO)
	if len(info) < cacheInfoLen {
		return infinite, infinite
	}
	return number32(info), number32(info[4:])
}

// dynamic reports whether the address ends unless a DHCP client or a router renews it.
func (a address) dynamic() bool {
	_, valid := a.lifetimes()
	return valid != infinite
}

// stays reports whether an address is not moved: a link-local one that the kernel generates for every interface, the
// bridge included.
func (a address) stays(mac []byte) bool {
	p := a.prefix().Addr()
	if !p.Is6() || !p.IsLinkLocalUnicast() {
		return false
	}
	if proto := attribute(a, addressHeader, ifaProto); len(proto) > 0 && proto[0] == protoKernel {
		return true
	}
	return p == fromMAC(mac)
}

// fromMAC returns the link-local address that Linux derives from a MAC address (RFC 4291, appendix A).
func fromMAC(mac []byte) netip.Addr {
	if len(mac) != 6 {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]})
}

// addresses returns the addresses of an interface, in the order of the kernel.
func (k *Kernel) addresses(index int) (all []address, err error) {
	for _, family := range families() {
		bodies, err := k.dump(unix.RTM_GETADDR, query(unix.RTM_NEWADDR, family))
		if err != nil {
			return nil, fmt.Errorf("list addresses: %w", err)
		}
		for _, body := range bodies {
			if a := address(body); len(body) >= addressHeader && body[0] == family && a.index() == uint32(index) {
				all = append(all, a)
			}
		}
	}
	return all, nil
}

// on returns the address for another interface; old is the time since it was read, by which its lifetimes have
// become shorter. It is nil if its lifetime is over.
func (a address) on(index int, from, to string, old time.Duration) address {
	seconds := uint32(old / time.Second)
	if _, valid := a.lifetimes(); valid != infinite && valid <= seconds {
		return nil
	}
	out := rewrite(a, addressHeader, func(kind int, value []byte) []byte {
		switch kind {
		case unix.IFA_LABEL:
			return text(relabel(textOf(value), from, to))
		case unix.IFA_FLAGS:
			return bytes32(number32(value) & settable)
		case unix.IFA_CACHEINFO:
			return shorter(value, seconds)
		}
		return value
	})
	out[2] = byte(a.flags() & settable)
	binary.NativeEndian.PutUint32(out[4:], uint32(index))
	return out
}

// relabel returns the label of an IPv4 address on another interface: eth0:1 becomes br0:1.
func relabel(label, from, to string) string {
	if rest, of := strings.CutPrefix(label, from); of && (rest == "" || rest[0] == ':') {
		return (to + rest)[:min(len(to+rest), unix.IFNAMSIZ-1)]
	}
	return label
}

// shorter returns lifetimes (struct ifa_cacheinfo) after some seconds.
func shorter(info []byte, seconds uint32) []byte {
	out := bytes.Clone(info)
	for at := 0; at+4 <= 8 && at+4 <= len(info); at += 4 {
		if left := number32(info[at:]); left != infinite {
			binary.NativeEndian.PutUint32(out[at:], left-min(left, seconds))
		}
	}
	return out
}

// withFlag returns an address with a flag more.
func (a address) withFlag(flag uint32) address {
	out := rewrite(a, addressHeader, func(kind int, value []byte) []byte {
		if kind == unix.IFA_FLAGS {
			return bytes32(number32(value) | flag)
		}
		return value
	})
	out[2] |= byte(flag)
	return out
}

// addAll adds addresses in an order that makes the kernel list them in the order given: it appends IPv4 addresses, and
// inserts IPv6 addresses before those of the same scope.
func (k *Kernel) addAll(all []address) error {
	for _, a := range all {
		if a.is6() {
			continue
		}
		if err := k.send(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, a); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add address %s: %w", a.prefix(), err)
		}
	}
	for _, a := range slices.Backward(all) {
		if !a.is6() {
			continue
		}
		if err := k.add6(a); err != nil {
			return fmt.Errorf("add address %s: %w", a.prefix(), err)
		}
	}
	return nil
}

// add6 adds an IPv6 address that can be used at once, and then clears the flag that made it so.
func (k *Kernel) add6(a address) error {
	err := k.send(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, a.withFlag(unix.IFA_F_NODAD))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	if a.flags()&unix.IFA_F_NODAD != 0 && err == nil {
		return nil
	}
	return k.send(unix.RTM_NEWADDR, unix.NLM_F_REPLACE, a)
}

// removeAll removes addresses, the last first: with the first IPv4 address of a subnet the kernel would remove the
// others. One that does not exist is no error.
func (k *Kernel) removeAll(all []address) error {
	for _, a := range slices.Backward(all) {
		err := k.send(unix.RTM_DELADDR, 0, a)
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("remove address %s: %w", a.prefix(), err)
		}
	}
	return nil
}

// localTimeout bounds the wait for work that the kernel does right after its answer.
const localTimeout = 5 * time.Second

// awaitLocal waits until the kernel delivers packets to IPv6 addresses of an interface: it adds the local route, and joins the
// multicast group of neighbour discovery, a moment after it has answered the request.
func (k *Kernel) awaitLocal(index int, all []address) error {
	err := await([]uint{unix.RTNLGRP_IPV6_ROUTE}, localTimeout, func() (bool, error) {
		bodies, err := k.dump(unix.RTM_GETROUTE, query(unix.RTM_NEWROUTE, unix.AF_INET6))
		if err != nil {
			return false, err
		}
		local := map[netip.Addr]bool{}
		for _, body := range bodies {
			if r := route(body); len(body) >= routeHeader && r[7] == unix.RTN_LOCAL && r.uses(index) {
				local[r.destination().Addr()] = true
			}
		}
		return !slices.ContainsFunc(all, func(a address) bool { return a.is6() && !local[a.prefix().Addr()] }), nil
	})
	if err != nil {
		return fmt.Errorf("wait for the local routes of IPv6 addresses: %w", err)
	}
	return nil
}
