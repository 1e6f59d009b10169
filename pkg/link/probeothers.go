package link

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// probesAtOnce is the number of addresses that ProbeOthers probes within one probeTime: at most 320 frames a second.
const probesAtOnce = 32

// ProbeOthers asks on the LAN of a bridge which hosts have some addresses, besides the one with the MAC that is expected
// for each. It sends what Probe does, two probes for each address, 32 addresses in 200 ms, until ctx ends: then it returns
// what it has found, and an error with the number of addresses that were not probed. An interface whose MAC is that of
// the bridge does not count.
func (h *Host) ProbeOthers(ctx context.Context, b *Bridge, expected map[netip.Addr]net.HardwareAddr) ([]Answer, error) {
	var addrs []netip.Addr
	for addr := range expected {
		addrs = append(addrs, addr)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	p := &probe{bridge: b, left: addrs, expected: expected}
	defer p.close()
	if err := p.open(h); err != nil {
		return nil, fmt.Errorf("probe addresses on bridge %s: %w", b.Name, err)
	}
	for done := 0; done < len(addrs); done += probesAtOnce {
		p.left = addrs[done:min(len(addrs), done+probesAtOnce)]
		for range probes {
			if err := p.sendProbes(ctx); err != nil {
				return p.found, fmt.Errorf("probe addresses on bridge %s, %d of %d are not probed: %w", b.Name, len(addrs)-done, len(addrs), err)
			}
		}
	}
	return p.found, nil
}

// isOther records an answer of ProbeOthers, unless it is expected or known.
func (p *probe) isOther(addr netip.Addr, mac net.HardwareAddr) {
	isKnown := slices.ContainsFunc(p.found, func(a Answer) bool { return a.Addr == addr && bytes.Equal(a.MAC, mac) })
	if !isKnown && !bytes.Equal(mac, p.expected[addr]) {
		p.found = append(p.found, Answer{addr, slices.Clone(mac)})
	}
}
