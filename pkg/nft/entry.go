package nft

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Entry describes what one attachment has in the ruleset.
type Entry struct {
	Network       string         // name of the network, as CNI SPEC.md section 1 allows
	Bridge        string         // input interface of the container's packets
	HostInterface string         // the attachment's port of the bridge
	Owner         string         // "patchbay:<hash> network/containerID/ifname"; the comment of its elements
	Addresses     []netip.Prefix // masqueraded, except towards their subnets (the prefix lengths)
	Exclude       []netip.Prefix // destinations that are not masqueraded
	RandomFully   bool           // masquerade fully-random
	Outbound4     netip.Addr     // source address instead of masquerading; not set for masquerading
	Outbound6     netip.Addr     // the same for IPv6

	Ports         []Port // published, each once
	NoMasquerade  bool   // clients of published ports are never masqueraded (snat: false)
	MasqueradeAll bool   // clients of published ports are always masqueraded (masqAll)
	MarkBit       int    // 0 to 31, the packet mark bit that identifies packets to published ports
	Localhost     bool   // ports can be reached by 127.0.0.0/8 too; the bridge is kept from those addresses
	Isolation     Isolation

	SpoofCheck *SpoofCheck // nil: every frame of the attachment passes
	Egress     *Egress     // nil: the attachment may open connections to every destination

	PointToPoint bool // Bridge is an interface of this attachment alone, or "": its elements go with the attachment
}

// Isolation selects from which other containers those of a network are isolated.
type Isolation int

// The values follow ingressPolicy of the reference firewall plugin.
const (
	NotIsolated   Isolation = iota // not isolated
	SameBridge                     // from other bridges, except those of open networks
	Isolated                       // from other bridges, and from each other
	PublishedOnly                  // from all outside of the bridge, except by published ports
)

// onBridge reports whether an entry needs the table of the bridge family.
func (e Entry) onBridge() bool {
	return e.Isolation == Isolated || e.SpoofCheck != nil || e.Egress != nil
}

// maxComment is the length in bytes up to which nft(8) accepts the comment of an
// element.
const maxComment = 128

// comment returns the owner, cut to the length of a comment.
func (e Entry) comment() string { return e.Owner[:min(len(e.Owner), maxComment)] }

// ownerID returns the first word of a comment, which identifies the owner; the rest
// is for people.
func ownerID(comment string) string {
	word, _, _ := strings.Cut(comment, " ")
	return word
}

// masquerade returns the name of the chain that masquerades the network's packets.
func (e Entry) masquerade() string { return e.chain("masq_") }

// invalid returns the name of the chain that drops the network's invalid packets.
func (e Entry) invalid() string { return e.chain("invalid_") }

// marking returns the name of the chain for published ports with an unusual mark bit.
func (e Entry) marking() string { return publishChain + "_" + strconv.Itoa(e.MarkBit) }

// marks reports whether the entry's ports have an unusual mark bit.
func (e Entry) marks() bool { return len(e.Ports) > 0 && e.MarkBit != UsualMarkBit }

// longestInName is how many bytes of a network's name go into the name of a chain.
const longestInName = 200

// chain returns the name of a chain for masquerading: kind, the network's name as far
// as it fits (NFT_NAME_MAXLEN is 255), and a hash of all that the rules depend on: two
// networks of one name, or two versions of one network, have different chains.
// An ADD whose settings changed finds no such chain and gets ENOENT, and attachments
// with the former settings keep theirs until DEL. A chain is never edited, so two
// versions of a network never share rules.
func (e Entry) chain(kind string) string {
	return e.named(kind, e.exclusions(), e.RandomFully, e.Outbound4, e.Outbound6)
}

// named returns the name of a chain of the network whose rules depend on content.
func (e Entry) named(kind string, content ...any) string {
	sum := sha256.Sum256(fmt.Append(nil, append([]any{Schema(), e.Network}, content...)...))
	return kind + e.Network[:min(len(e.Network), longestInName)] + "_" + hex.EncodeToString(sum[:4])
}

// exclusions returns the destinations that are not masqueraded, sorted, without those
// that another one contains: the subnets of the addresses, the excluded prefixes, and
// multicast. Only the families of the entry's addresses are included. They are sorted
// because the hash of the chain's name depends on them.
func (e Entry) exclusions() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range slices.Concat(e.Addresses, e.Exclude, multicast()) {
		if e.has(familyOf(p.Addr())) {
			all = append(all, p.Masked())
		}
	}
	slices.SortFunc(all, comparePrefixes)
	return slices.DeleteFunc(slices.Compact(all), func(p netip.Prefix) bool {
		return slices.ContainsFunc(all, func(q netip.Prefix) bool { return q.Bits() < p.Bits() && q.Contains(p.Addr()) })
	})
}

// has reports whether the entry has addresses of a family.
func (e Entry) has(f ipFamily) bool {
	return slices.ContainsFunc(e.Addresses, func(p netip.Prefix) bool { return familyOf(p.Addr()) == f })
}

// multicast returns the prefixes of multicast addresses. Such packets are forwarded
// to several receivers, and nothing would translate their replies.
func multicast() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("ff00::/8")}
}

// comparePrefixes orders prefixes by address, then by length.
func comparePrefixes(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// elements returns the elements that the entry owns. Each can have one owner. There
// are two for each address (masquerade; drop of packets of no connection), those of
// its ports, its bridge port if the ports of the bridge are isolated, what the
// spoof check allows that port, and one for each address whose connections are
// restricted.
// The keys of masq and invalid have the bridge, because two networks may have the same
// subnet on different bridges. They have single addresses, not the subnet: a machine
// of the LAN whose packets pass through the bridge has an address of the same subnet,
// and is not masqueraded.
func (e Entry) elements() []element {
	var all []element
	for _, p := range e.Addresses {
		addr := p.Addr()
		for _, to := range []struct{ maps, chain string }{{"masq", e.masquerade()}, {"invalid", e.invalid()}} {
			all = append(all, element{set: to.maps + familyOf(addr).String(), key: ifnameBytes(e.Bridge) + addrBytes(addr), chain: to.chain})
		}
	}
	all = append(all, e.portElements()...)
	port := ifnameBytes(e.HostInterface)
	if e.Isolation == Isolated {
		all = append(all, element{set: portsApart, key: port})
	}
	if e.Isolation == Isolated || e.Egress != nil {
		all = append(all, element{set: portsSelf, key: port + port})
	}
	all = append(all, e.egressElements()...)
	if e.SpoofCheck != nil {
		all = append(all, e.SpoofCheck.elements(e.HostInterface)...)
	}
	if e.PointToPoint {
		all = append(all, e.ofBridge()...)
	}
	for i := range all {
		all[i].comment = e.comment()
	}
	return bySet(all)
}

// shared returns the elements of the entry's bridge, which all attachments on it
// share and which stay.
func (e Entry) shared() []element {
	if e.PointToPoint {
		return nil
	}
	return e.ofBridge()
}

// ofBridge returns the elements about the entry's bridge.
func (e Entry) ofBridge() []element {
	if e.Bridge == "" {
		return nil
	}
	var all []element
	pair := ifnameBytes(e.Bridge) + ifnameBytes(e.Bridge)
	if len(e.Ports) > 0 || e.Isolation != NotIsolated {
		all = append(all, element{set: "intra", key: pair})
	}
	if e.Localhost {
		all = append(all, element{set: "localnet", key: ifnameBytes(e.Bridge)})
	}
	if e.Isolation != NotIsolated {
		all = append(all, element{set: "isolated", key: ifnameBytes(e.Bridge)})
	}
	if e.Isolation == Isolated {
		all = append(all, element{set: "apart", key: pair})
	}
	if e.Isolation == PublishedOnly {
		all = append(all, element{set: answersOnlySet, key: ifnameBytes(e.Bridge)})
	}
	return all
}
