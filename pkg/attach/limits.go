package attach

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// limits returns the first reason why attached containers have limited connectivity on this host, although an ADD succeeds.
func (p *preflight) limits() error {
	if p.host == nil || !p.cfg.IsGateway || !p.serves(true) {
		return nil
	}
	leaves := p.cfg.IsDefaultGateway || p.cfg.Masq != nil && p.cfg.Masq.IPv4
	for _, l := range forwardingLimits(p.host, p.gate, leaves) {
		if !l.Ours { // ADD sets it
			return l
		}
	}
	return nil
}

// Limits returns the limits of the attachments to one bridge. With leaves their packets also leave the host at its uplink.
func Limits(host *link.Host, bridge *link.Bridge, records []*store.Record, leaves bool) (found []*Limit) {
	routes := func(is4 bool) bool {
		return slices.ContainsFunc(records, func(r *store.Record) bool { return r.Gateway && store.FirstGateway(r.Addresses, is4).IsValid() })
	}
	if routes(true) {
		found = forwardingLimits(host, bridge, leaves)
	}
	if routes(false) && bridge.Disabled6 {
		found = append(found, &Limit{
			Says:   fmt.Sprintf("IPv6 is disabled on bridge %s: its containers have no IPv6 gateway", bridge.Name),
			Sysctl: link.IPv6SwitchName(bridge.Name), Want: "0", Ours: bridge.Ours,
		})
	}
	return found
}

// forwardingLimits checks IPv4 forwarding of a bridge, nil if ADD creates it, and of the uplink if leaves is true. Linux drops a packet
// if the interface on which it arrives does not forward.
func forwardingLimits(host *link.Host, bridge *link.Bridge, leaves bool) (found []*Limit) {
	if !host.Forwarding(true) {
		return nil // the global setting is off: enabling it sets all interfaces, and forwarding reports it
	}
	closed := func(what, ifname, hurts string, ours bool) {
		says := fmt.Sprintf("%s %s does not forward IPv4: %s", what, ifname, hurts)
		found = append(found, &Limit{Says: says, Sysctl: link.ForwardingName(ifname), Want: "1", Ours: ours})
	}
	if bridge != nil && !bridge.Forwards4 {
		closed("bridge", bridge.Name, "its containers reach nothing beyond the host", bridge.Ours)
	}
	if !leaves {
		return found
	}
	uplink := host.DefaultInterface()
	if uplink != nil && !uplink.Forwards4 && (bridge == nil || uplink.Index != bridge.Index) {
		closed("uplink", uplink.Name, "no packet from beyond the host reaches a container", false)
	}
	return found
}

// outboundAddresses warns of outbound addresses that the host does not have. It is no reason to fail: another host may route the
// replies here.
func (p *preflight) outboundAddresses() error {
	if p.cfg.Masq == nil {
		return nil
	}
	for _, says := range MissingOutbound(p.host, p.cfg.Masq.Outbound4, p.cfg.Masq.Outbound6) {
		report.Warn("network %s: %s", p.cfg.Name, says)
	}
	return nil
}

// MissingOutbound returns one clause for each outbound address that is set and not an address of the host.
func MissingOutbound(host *link.Host, addrs ...netip.Addr) (clauses []string) {
	for _, addr := range addrs {
		if !addr.IsValid() {
			continue
		}
		if local, err := host.IsLocal(addr); err == nil && !local {
			clauses = append(clauses, fmt.Sprintf("%s %s is not an address of this host: replies arrive only if they are routed here", outboundKey(addr), addr))
		}
	}
	return clauses
}

// outboundKey returns the key that an outbound address comes from.
func outboundKey(addr netip.Addr) string {
	if addr.Is4() {
		return "outboundAddr4"
	}
	return "outboundAddr6"
}
