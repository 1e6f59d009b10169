package uplink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Gateways returns the next hops of the routes of a state that answer, or have answered, on the uplink: only those can be
// expected to answer on the bridge. It waits for them at most for a time.
func (k *Kernel) Gateways(s *State, atMost time.Duration) ([]netip.Addr, error) {
	wanted := s.Gateways()
	var found []netip.Addr
	err := k.resolve(s.Index, wanted, atMost, func(state uint16, addr netip.Addr) bool {
		const has = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT | unix.NUD_NOARP
		if state&has != 0 && !slices.Contains(found, addr) {
			found = append(found, addr)
		}
		return state&has != 0
	})
	if errors.Is(err, ErrTimeout) {
		err = nil
	}
	return found, err
}

// Gateways returns the next hops of the routes of a state, each once.
func (s *State) Gateways() (all []netip.Addr) {
	for _, r := range s.Routes {
		for _, addr := range r.gateways(s.Index) {
			if !slices.Contains(all, addr) {
				all = append(all, addr)
			}
		}
	}
	return all
}

// Answer waits until gateways have answered through the bridge, by ARP or neighbour discovery.
func (k *Kernel) Answer(s *State, gateways []netip.Addr, atMost time.Duration) error {
	b, err := k.link(s.Bridge)
	if err != nil {
		return err
	}
	silent := slices.Clone(gateways)
	err = k.resolve(b.index, gateways, atMost, func(state uint16, addr netip.Addr) bool {
		answered := state&(unix.NUD_REACHABLE|unix.NUD_PERMANENT) != 0
		if answered {
			silent = slices.DeleteFunc(silent, func(a netip.Addr) bool { return a == addr })
		}
		return answered
	})
	if errors.Is(err, ErrTimeout) {
		return fmt.Errorf("gateway %s does not answer through %s: %w", silent[0], s.Bridge, err)
	}
	return err
}

// resolve makes the kernel resolve addresses on an interface until enough returns true for the state (NUD_*) of each.
func (k *Kernel) resolve(index int, addrs []netip.Addr, atMost time.Duration, enough func(uint16, netip.Addr) bool) error {
	return await([]uint{unix.RTNLGRP_NEIGH}, atMost, func() (bool, error) {
		states, err := k.neighbours(index)
		if err != nil {
			return false, err
		}
		all := true
		for _, addr := range addrs {
			if enough(states[addr], addr) {
				continue
			}
			all = false
			if states[addr]&unix.NUD_INCOMPLETE == 0 {
				if err := k.use(index, addr); err != nil {
					return false, err
				}
			}
		}
		return all, nil
	})
}

// neighbours returns the states of the neighbours of an interface.
func (k *Kernel) neighbours(index int) (map[netip.Addr]uint16, error) {
	states := map[netip.Addr]uint16{}
	for _, family := range families() {
		bodies, err := k.dump(unix.RTM_GETNEIGH, query(unix.RTM_NEWNEIGH, family))
		if err != nil {
			return nil, fmt.Errorf("list neighbours: %w", err)
		}
		for _, body := range bodies {
			if len(body) < neighHeader || int(binary.NativeEndian.Uint32(body[4:])) != index {
				continue
			}
			if addr, ok := netip.AddrFromSlice(attribute(body, neighHeader, unix.NDA_DST)); ok {
				states[addr] = binary.NativeEndian.Uint16(body[8:])
			}
		}
	}
	return states, nil
}

// use makes the kernel resolve a neighbour as if a packet were sent to it (NTF_USE).
func (k *Kernel) use(index int, addr netip.Addr) error {
	body := make([]byte, neighHeader)
	body[0] = unix.AF_INET
	if addr.Is6() {
		body[0] = unix.AF_INET6
	}
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	body[10] = unix.NTF_USE
	body = nlsock.AppendAttribute(body, unix.NDA_DST, addr.AsSlice())
	if err := k.send(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE, body); err != nil {
		return fmt.Errorf("resolve gateway %s: %w", addr, err)
	}
	return nil
}

// Watch waits until the uplink has lost its carrier, or no longer exists, and returns an error that says which; nil
// when stop returns true, which is asked at least once a second. It uses a connection of its own.
func Watch(s *State, stop func() bool) error {
	k, err := Open()
	if err != nil {
		return err
	}
	defer k.Close()
	for {
		err := await([]uint{unix.RTNLGRP_LINK}, time.Second, func() (bool, error) { return stop(), k.hasCarrier(s) })
		if !errors.Is(err, ErrTimeout) {
			return err
		}
	}
}

func (k *Kernel) hasCarrier(s *State) error {
	d, err := k.link(s.Uplink)
	if err == nil && !d.carrier() {
		err = fmt.Errorf("%s has lost its carrier", s.Uplink)
	}
	return err
}
