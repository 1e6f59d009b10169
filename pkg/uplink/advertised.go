package uplink

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Routes from router advertisements that the kernel itself handles (RTPROT_RA) cannot be moved as they are: the
// kernel recognizes its own by a flag that no request sets, and would log an error for each advertisement.
// They are added with a metric that is larger by one, as a fallback; then routers are solicited, and
// the fallback is removed when the kernel has added its own.

// advertisementTimeout bounds the wait for a router, which may delay its answer by half a second, and if it has
// answered another host just before, by 3 s (RFC 4861, section 6.2.6).
const advertisementTimeout = 4 * time.Second

// fromRouter reports whether the route came from a router advertisement.
func (r route) fromRouter() bool {
	return r.family() == unix.AF_INET6 && r.protocol() == unix.RTPROT_RA
}

// fallback returns a route with a metric that is larger by one.
func (r route) fallback() route {
	return rewrite(r, routeHeader, func(kind int, value []byte) []byte {
		if kind == unix.RTA_PRIORITY {
			return bytes32(number32(value) + 1)
		}
		return value
	})
}

// through replaces the interface and keeps everything else, also what on turns into another form.
func (r route) through(from, to int) route {
	return rewrite(r, routeHeader, func(kind int, value []byte) []byte {
		switch kind {
		case unix.RTA_OIF:
			return bytes32(uint32(to))
		case unix.RTA_MULTIPATH:
			return hopsOn(value, from, to)
		}
		return value
	})
}

// split separates the routes that the kernel learns from routers.
func split(all []route, accepts bool) (advertised, others []route) {
	for _, r := range all {
		if accepts && r.fromRouter() {
			advertised = append(advertised, r.fallback())
			continue
		}
		others = append(others, r)
	}
	return advertised, others
}

// learn solicits routers on an interface and removes the fallback routes that it has when the kernel has added its
// own. Without an answer they stay until their lifetime is over.
func (k *Kernel) learn(index int, fallback []route) error {
	if len(fallback) == 0 {
		return nil
	}
	if err := solicit(index); err != nil {
		return err
	}
	err := await([]uint{unix.RTNLGRP_IPV6_ROUTE}, advertisementTimeout, func() (bool, error) {
		now, err := k.routes(index)
		learned := func(r route) bool {
			return slices.ContainsFunc(now, func(b route) bool {
				return b.fromRouter() && b.destination() == r.destination() && b.gateway() == r.gateway() && b.String() != r.String()
			})
		}
		return err == nil && !slices.ContainsFunc(fallback, func(r route) bool { return !learned(r) }), err
	})
	if errors.Is(err, ErrTimeout) {
		return nil
	}
	if err != nil {
		return err
	}
	return k.removeRoutes(fallback)
}

// solicit sends a router solicitation (RFC 4861, section 4.1) to all routers of a link.
func solicit(index int) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
	if err != nil {
		return fmt.Errorf("solicit routers: %w", err)
	}
	defer unix.Close(fd)
	const hops = 255 // others are ignored by routers
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, hops); err != nil {
		return fmt.Errorf("solicit routers: %w", err)
	}
	const routerSolicitation = 133
	to := &unix.SockaddrInet6{Addr: [16]byte{0xff, 0x02, 15: 2}, ZoneId: uint32(index)}
	err = unix.Sendto(fd, []byte{routerSolicitation, 7: 0}, 0, to)
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENETUNREACH) {
		return nil // no link-local address yet: the kernel solicits when it has one
	}
	if err != nil {
		return fmt.Errorf("solicit routers: %w", err)
	}
	return nil
}
