package uplink

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// State is the network state of an uplink before the first change. It can be stored as JSON, and is valid until the
// next boot: it has indexes and messages of the kernel.
type State struct {
	Uplink    string    `json:"uplink"`
	Index     int       `json:"index"` // of the uplink
	Bridge    string    `json:"bridge"`
	MAC       []byte    `json:"mac"`
	MTU       int       `json:"mtu"`       // bytes
	At        int64     `json:"at"`        // CLOCK_BOOTTIME in nanoseconds: lifetimes are counted from it
	Addresses []address `json:"addresses"` // in the order of the kernel, without those that stay
	Routes    []route   `json:"routes"`    // in the order of the kernel
	Rules     []rule    `json:"rules"`     // of every priority at which a rule names the uplink
}

// Capture reads the state of an uplink that Check accepts. It changes nothing.
func (k *Kernel) Capture(uplink, bridge string) (*State, error) {
	l, err := k.link(uplink)
	if err != nil {
		return nil, err
	}
	s := &State{Uplink: uplink, Index: l.index, Bridge: bridge, MAC: l.mac, MTU: l.mtu}
	return s, k.read(s, l.index, uplink)
}

// Back reads the state that the uplink of a bridge gets when the bridge is deleted: that of the bridge.
func (k *Kernel) Back(bridge string) (*State, error) {
	b, err := k.link(bridge)
	if err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(b.alias, aliasPrefix)
	if !b.made() || name == b.alias {
		return nil, fmt.Errorf("%s: %w: delete it with the program that created it", bridge, ErrForeign)
	}
	l, err := k.link(name)
	if err == nil && l.master != b.index {
		err = fmt.Errorf("%s %w", name, ErrNoPort)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bridge, err)
	}
	s := &State{Uplink: name, Index: l.index, Bridge: bridge, MAC: l.mac, MTU: l.mtu}
	if err := k.read(s, b.index, bridge); err != nil {
		return nil, err
	}
	for i, a := range s.Addresses {
		s.Addresses[i] = a.on(l.index, bridge, name, 0)
	}
	for i, r := range s.Routes {
		s.Routes[i] = r.through(b.index, l.index)
	}
	for i, r := range s.Rules {
		s.Rules[i] = r.on(bridge, name)
	}
	return s, nil
}

// read fills in addresses, routes and rules from an interface.
func (k *Kernel) read(s *State, index int, name string) error {
	s.At = sinceBoot()
	var err error
	if s.Addresses, err = k.addresses(index); err != nil {
		return err
	}
	s.Addresses = slices.DeleteFunc(s.Addresses, func(a address) bool { return a.stays(s.MAC) })
	if s.Routes, err = k.routes(index); err != nil {
		return err
	}
	all, err := k.rules()
	if err != nil {
		return err
	}
	for _, r := range all {
		if slices.ContainsFunc(group(all, r.place()), func(r rule) bool { return r.names(name) }) {
			s.Rules = append(s.Rules, r)
		}
	}
	return nil
}

// age returns the time since the state was read, which includes the time that the machine slept.
func (s *State) age() time.Duration { return time.Duration(sinceBoot() - s.At) }

func sinceBoot() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0
	}
	return now.Nano()
}

// Summary returns what is moved, for people: the addresses and the routes.
func (s *State) Summary() (addresses, routes []string) {
	for _, a := range s.Addresses {
		addresses = append(addresses, a.prefix().String())
	}
	for _, r := range s.Routes {
		routes = append(routes, r.String())
	}
	return addresses, routes
}

// Address is an address of an uplink.
type Address struct {
	Prefix  netip.Prefix
	Dynamic bool // it has a lifetime
}

// Route is a route of an uplink.
type Route struct {
	To              netip.Prefix
	Gateway, Source netip.Addr // the zero Addr without one
	Metric, Table   uint32
	MTU             uint32 // bytes; 0 for none
	OnLink          bool
	Multiple        bool // it has several next hops
	Connected       bool // it follows from an address
	FromRouter      bool // from a router advertisement
	FromDHCP        bool
}

// List returns the addresses and routes of the uplink.
func (s *State) List() (addresses []Address, routes []Route) {
	for _, a := range s.Addresses {
		addresses = append(addresses, Address{a.prefix(), a.dynamic()})
	}
	for _, r := range s.Routes {
		source, _ := netip.AddrFromSlice(r.attribute(unix.RTA_PREFSRC))
		routes = append(routes, Route{
			To: r.destination(), Gateway: r.gateway(), Source: source, Metric: number32(r.attribute(unix.RTA_PRIORITY)), Table: r.table(),
			MTU: number32(attribute(r.attribute(unix.RTA_METRICS), 0, unix.RTAX_MTU)), OnLink: binary.NativeEndian.Uint32(r[8:])&unix.RTNH_F_ONLINK != 0,
			Multiple: r.multipath(), Connected: r.protocol() == unix.RTPROT_KERNEL, FromRouter: r.fromRouter(), FromDHCP: r.protocol() == unix.RTPROT_DHCP,
		})
	}
	return addresses, routes
}

// PolicyRules returns how many policy rules name the uplink.
func (s *State) PolicyRules() (n int) {
	for _, r := range s.Rules {
		if r.names(s.Uplink) {
			n++
		}
	}
	return n
}

// addressesOn returns the addresses for an interface, at the present time.
func (s *State) addressesOn(index int, name string) (all []address) {
	for _, a := range s.Addresses {
		if a := a.on(index, s.Uplink, name, s.age()); a != nil {
			all = append(all, a)
		}
	}
	return all
}

// routesOn returns the routes for an interface, at the present time.
func (s *State) routesOn(index int) (all []route) {
	for _, r := range s.Routes {
		if r := r.on(s.Index, index, s.age()); r != nil {
			all = append(all, r)
		}
	}
	return all
}

// Differs returns what of a state the uplink does not have, one line each. Lifetimes are not compared, and neither are
// routes that routers advertise.
func (k *Kernel) Differs(s *State) (lines []string, err error) {
	now, err := k.Capture(s.Uplink, s.Bridge)
	if err != nil {
		return nil, err
	}
	has := func(a address) bool {
		return slices.ContainsFunc(now.Addresses, func(b address) bool { return a.prefix() == b.prefix() })
	}
	for _, a := range s.Addresses {
		if !has(a) && a.on(s.Index, "", "", s.age()) != nil {
			lines = append(lines, "address "+a.prefix().String())
		}
	}
	for _, r := range s.Routes {
		same := func(b route) bool { return r.String() == b.String() }
		if !slices.ContainsFunc(now.Routes, same) && !r.fromRouter() && r.on(s.Index, s.Index, s.age()) != nil {
			lines = append(lines, "route "+r.String())
		}
	}
	for _, r := range s.Rules {
		if !slices.ContainsFunc(now.Rules, func(b rule) bool { return bytes.Equal(r, b) }) && r.names(s.Uplink) {
			lines = append(lines, fmt.Sprintf("policy rule of priority %d", r.place().priority))
		}
	}
	return lines, nil
}
