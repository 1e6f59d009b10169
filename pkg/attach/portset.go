package attach

import (
	"fmt"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// together returns the ports of two lists. A port of the second that conflicts with one of the first is an error, unless the two are equal.
func together(has, more []store.Port) ([]store.Port, error) {
	all := slices.Clone(has)
	for _, p := range more {
		if slices.Contains(has, p) {
			continue
		}
		for _, q := range has {
			if _, _, common := overlap(q, p); common {
				return nil, fmt.Errorf("port %s %w (to %s)", hostSide(q), errOwnPort, containerSide(q))
			}
		}
		all = append(all, p)
	}
	count := map[bool]int{} // of each family: a mapping is one for the container, and two in the record
	for _, p := range all {
		count[p.Container.Is4()] += p.Len()
	}
	if n := max(count[true], count[false]); n > config.MostPorts {
		return nil, fmt.Errorf("%d %w", n, errManyPorts)
	}
	return all, nil
}

// overlap returns the first and the last host port that two mappings have in common.
func overlap(p, q store.Port) (first, last int, common bool) {
	if p.Protocol != q.Protocol || p.Container.Is4() != q.Container.Is4() || p.HostIP.IsValid() && q.HostIP.IsValid() && p.HostIP != q.HostIP {
		return 0, 0, false
	}
	first = max(int(p.HostPort), int(q.HostPort))
	last = min(int(p.HostPort)+p.Len(), int(q.HostPort)+q.Len()) - 1
	return first, last, first <= last
}

// divide divides ports into those that stay and those that a mapping names; a range of which a part goes is divided too. None is gone unless
// every port of the mapping is published.
func divide(all []store.Port, m config.PortMapping) (left, gone []store.Port) {
	found := map[int]bool{}
	for _, p := range all {
		first, last, common := overlap(p, store.Port{Protocol: m.Protocol, HostIP: p.HostIP, HostPort: m.HostPort, Count: m.Count, Container: p.Container})
		if !common || !isOf(p, m) {
			left = append(left, p)
			continue
		}
		for port := first; port <= last; port++ {
			found[port] = true
		}
		gone = append(gone, partOf(p, first, last))
		if first > int(p.HostPort) {
			left = append(left, partOf(p, int(p.HostPort), first-1))
		}
		if end := int(p.HostPort) + p.Len() - 1; last < end {
			left = append(left, partOf(p, last+1, end))
		}
	}
	if len(found) < max(1, m.Count) {
		return all, nil
	}
	return left, gone
}

// isOf reports whether a mapping is published on the address of the host that another one names.
func isOf(p store.Port, m config.PortMapping) bool {
	if m.Specific() {
		return p.HostIP == m.HostIP
	}
	return !m.HostIP.IsValid() || !p.HostIP.IsValid() && m.Wants(p.Container.Is4())
}

// partOf returns the mapping of some of the ports of a range.
func partOf(p store.Port, first, last int) store.Port {
	part := p
	part.HostPort, part.ContainerPort = uint16(first), p.ContainerPort+uint16(first)-p.HostPort
	if p.Count != 0 {
		part.Count = last - first + 1
	}
	return part
}

// hostSide returns "8080/tcp", or "8000-8009/udp of 192.0.2.1".
func hostSide(p store.Port) string {
	return config.PortMapping{Protocol: p.Protocol, HostIP: p.HostIP, HostPort: p.HostPort, Count: p.Len()}.String()
}

// containerSide returns "10.77.0.2:80", of a range its first port.
func containerSide(p store.Port) string { return fmt.Sprintf("%s:%d", p.Container, p.ContainerPort) }
