package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

// UnusedMapping is an entry of portMappings that is not published, or that another entry
// covers.
type UnusedMapping struct {
	Index        int // in portMappings
	Mapping      PortMapping
	Why          string // continues "port 8080/tcp of ::1 ": "is not published: ..."
	Fix          string // remedy
	NotPublished bool   // the port is not published at all; false if another entry publishes it
}

// String returns a sentence about the port.
func (p UnusedMapping) String() string { return "port " + p.Mapping.String() + " " + p.Why }

// checkPorts reduces the mappings to those that can be published, each host port once.
// An entry with hostPort 0 only declares a container port (CRI, nerdctl). Two entries
// that map one host port to different container ports are an error.
func (d *decoder) checkPorts(c *Config) {
	if d.err != nil {
		return
	}
	s := &portSet{seen: map[portKey][]portRef{}}
	for i, m := range c.Publish.Ports {
		if m.HostPort == 0 {
			continue
		}
		if p := c.unused(m); p.Why != "" {
			p.Index, p.Mapping = i, m
			c.Publish.Unused = append(c.Publish.Unused, p)
			continue
		}
		if clash := s.add(i, m); clash != "" {
			d.fail(invalid("runtimeConfig.portMappings", "publish each port of the host once", "%s", clash))
			return
		}
	}
	c.Publish.Ports = s.ports()
	c.Publish.Unused = append(c.Publish.Unused, s.covered()...)
}

// unused returns why no connection could use a mapping; its Why is "" if one can.
func (c *Config) unused(m PortMapping) UnusedMapping {
	switch {
	case c.IPAMType == "":
		return UnusedMapping{NotPublished: true, Why: fmt.Sprintf("is not published: network %s has no addresses to map ports to", c.Name), Fix: `give the network addresses with "ipam", or publish no ports`}
	case m.HostIP.IsLoopback() && m.HostIP.Is6():
		return UnusedMapping{NotPublished: true, Why: "is not published: the kernel delivers no reply of a container to ::1", Fix: "use 127.0.0.1"}
	case m.HostIP.IsLoopback() && !(c.Publish.Localhost && c.Publish.SNAT):
		return UnusedMapping{NotPublished: true, Why: fmt.Sprintf("is not published: %s is not reached where hostLocalhost or snat is false", m.HostIP), Fix: "leave hostLocalhost and snat out, or publish on another address"}
	case c.IPAM != nil && !slices.ContainsFunc(c.IPAM.Pool.Sets, func(set ipam.Set) bool { return m.Wants(set.Is4()) }):
		return UnusedMapping{
			NotPublished: !m.HostIP.IsUnspecified(), Why: fmt.Sprintf("is not published: network %s has no addresses of that family", c.Name),
			Fix: "give an address of a family that the network has, or a range of that family to ipam",
		}
	}
	return UnusedMapping{} // also if the addresses of a delegated IPAM plugin are not known yet
}

// portKey is a host port, for all addresses.
type portKey struct {
	protocol string
	port     int
}

// portRef is one port of a mapping.
type portRef struct {
	item   int // index in portSet.items
	offset int // offset of the port in the mapping
}

// portSet collects the ports of several mappings without duplicates.
type portSet struct {
	items []portItem
	seen  map[portKey][]portRef // those that are published
}

// portItem is a mapping in a portSet.
type portItem struct {
	index   int // in portMappings
	mapping PortMapping
	drop    []bool // by offset: another mapping publishes the port
	by      int    // index of an item that publishes a dropped port
}

// add adds a mapping. It returns a text if a port of it is mapped to two container ports.
func (s *portSet) add(index int, m PortMapping) (clash string) {
	s.items = append(s.items, portItem{index: index, mapping: m, drop: make([]bool, m.Count)})
	for offset := range m.Count {
		if clash := s.addOne(portRef{len(s.items) - 1, offset}); clash != "" {
			return clash
		}
	}
	return ""
}

// addOne adds one port of a mapping.
func (s *portSet) addOne(one portRef) (clash string) {
	m := s.items[one.item].mapping
	key := portKey{m.Protocol, int(m.HostPort) + one.offset}
	var kept []portRef
	covered := false
	for _, other := range s.seen[key] {
		o := s.items[other.item].mapping
		switch {
		case !overlaps(m.HostIP, o.HostIP):
			kept = append(kept, other)
		case int(m.ContainerPort)+one.offset != int(o.ContainerPort)+other.offset:
			return fmt.Sprintf("%s -> %d and %s -> %d both publish %d/%s", o, o.ContainerPort, m, m.ContainerPort, key.port, key.protocol)
		case covers(o.HostIP, m.HostIP):
			covered = true
			kept = append(kept, other)
			s.dropped(one, other)
		default:
			s.dropped(other, one)
		}
	}
	if !covered {
		kept = append(kept, one)
	}
	s.seen[key] = kept
	return ""
}

// dropped marks a port that another mapping publishes.
func (s *portSet) dropped(one, by portRef) {
	item := &s.items[one.item]
	item.drop[one.offset], item.by = true, by.item
}

// ports returns the mappings, split where other mappings publish some of their ports.
func (s *portSet) ports() []PortMapping {
	var all []PortMapping
	for _, item := range s.items {
		for from := 0; from < len(item.drop); {
			to := from
			for to < len(item.drop) && !item.drop[to] {
				to++
			}
			if to > from {
				part := item.mapping
				part.HostPort += uint16(from)
				part.ContainerPort += uint16(from)
				part.Count = to - from
				all = append(all, part)
			}
			from = to + 1
		}
	}
	return all
}

// covered returns the mappings of which another one publishes a port.
func (s *portSet) covered() []UnusedMapping {
	var all []UnusedMapping
	for _, item := range s.items {
		if slices.Contains(item.drop, true) {
			by := s.items[item.by].mapping
			all = append(all, UnusedMapping{
				Index: item.index, Mapping: item.mapping, Fix: "publish each port of the host once",
				Why: fmt.Sprintf("is also published by %s -> %d", by, by.ContainerPort),
			})
		}
	}
	return all
}

// overlaps reports whether two hostIPs have an address in common. As in bind(2), an
// unset hostIP is every address.
func overlaps(a, b netip.Addr) bool { return covers(a, b) || covers(b, a) }

// covers reports whether hostIP a includes all addresses of b.
func covers(a, b netip.Addr) bool {
	if !a.IsValid() || !b.IsValid() {
		return !a.IsValid()
	}
	return a == b || a.IsUnspecified() && a.Is4() == b.Is4()
}
