package ruleset

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// IsNeeded reports whether an attachment has elements in the ruleset.
func IsNeeded(r *store.Record) bool {
	return r.Masquerade != nil || r.Publish != nil || r.Policy != "" || r.Egress != nil || ChecksSpoofing(r)
}

// ChecksSpoofing reports whether the source addresses of an attachment's frames are compared with those that it was given.
func ChecksSpoofing(r *store.Record) bool { return r.SpoofCheck != nil && r.SpoofCheck.MAC != "" }

// entryOf translates a record.
func entryOf(r *store.Record) nft.Entry {
	e := nft.Entry{Network: r.Network, Bridge: r.RoutedBy(), HostInterface: r.HostLink, Owner: r.Alias, MarkBit: nft.UsualMarkBit}
	if m := r.Masquerade; m != nil {
		e.Addresses, e.Exclude, e.RandomFully = m.Addresses, m.Exclude, m.RandomFully
		e.Outbound4, e.Outbound6 = m.Outbound4, m.Outbound6
	}
	if p := r.Publish; p != nil {
		e.NoMasquerade, e.MasqueradeAll, e.MarkBit, e.Localhost = p.Plain, p.All, p.MarkBit, p.Localhost
		for _, port := range p.Ports {
			e.Ports = append(e.Ports, expand(port)...)
		}
	}
	switch r.Policy {
	case config.PolicySameBridge:
		e.Isolation = nft.SameBridge
	case config.PolicyIsolated:
		e.Isolation = nft.Isolated
	case config.PolicyPublished:
		e.Isolation = nft.PublishedOnly
	}
	e.SpoofCheck = spoofCheckOf(r)
	e.PointToPoint = r.PointToPoint() || r.Role == store.RolePart && r.Bridge == ""
	e.Egress = egressOf(r)
	return e
}

// egressOf returns nil for a record without restriction.
func egressOf(r *store.Record) *nft.Egress {
	if r.Egress == nil {
		return nil
	}
	e := &nft.Egress{Sources: r.Addrs(), Allow: r.Egress.Allow, DNS: r.Egress.DNS, DHCP: r.Egress.DHCP}
	for _, a := range r.Addresses {
		e.OnLink = append(e.OnLink, a.Address.Masked())
		if gateway := a.NetworkGateway(); gateway.IsValid() {
			e.OnLink = append(e.OnLink, netip.PrefixFrom(gateway, gateway.BitLen()))
		}
	}
	return e
}

// spoofCheckOf returns nil for a record without the check.
func spoofCheckOf(r *store.Record) *nft.SpoofCheck {
	if !ChecksSpoofing(r) {
		return nil
	}
	mac, err := net.ParseMAC(r.SpoofCheck.MAC)
	if err != nil || len(mac) != 6 {
		return nil
	}
	return &nft.SpoofCheck{MAC: mac, Full: r.SpoofCheck.Full, Addresses: r.Addrs()}
}

// expand returns the single ports of a mapping: each is an element.
func expand(p store.Port) []nft.Port {
	all, proto := make([]nft.Port, 0, p.Len()), protocols()[p.Protocol]
	for i := range uint16(p.Len()) {
		all = append(all, nft.Port{
			Proto: proto, HostIP: p.HostIP, HostPort: p.HostPort + i,
			Container: netip.AddrPortFrom(p.Container, p.ContainerPort+i),
		})
	}
	return all
}

func protocols() map[string]uint8 {
	return map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}
}
