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

// Entry is what one attachment has in the ruleset.
type Entry struct {
	Network     string         // name of the network, as CNI SPEC.md section 1 allows
	Bridge      string         // interface that the container's packets come in by
	HostLink    string         // the attachment's port of that bridge
	Owner       string         // "patchbay:<hash> network/containerID/ifname"; what elements have as comment
	Addresses   []netip.Prefix // masqueraded, each with the length of its subnet, which is not
	Exclude     []netip.Prefix // destinations that see the container's own address
	RandomFully bool           // choose the source port at random (masquerade fully-random)

	Ports     []Port // published, each once
	Plain     bool   // who comes by a published port is never masqueraded (snat: false)
	All       bool   // who comes by a published port is always masqueraded (masqAll)
	MarkBit   int    // of the packet mark, 0 to 31: what published ports are told by on their way
	Localhost bool   // ports are reached by 127.0.0.0/8 too, and what that opens is closed to the bridge
	Isolation Isolation
}

// Isolation is from whom a network's containers are kept apart.
type Isolation int

// The three there are: ingressPolicy of the reference's firewall plugin.
const (
	NotKept    Isolation = iota // from nobody
	SameBridge                  // from other bridges whose networks are not open
	Isolated                    // from these, and from each other
)

// maxComment is what nft(8) gives the comment of an element.
const maxComment = 128

func (e Entry) comment() string { return e.Owner[:min(len(e.Owner), maxComment)] }

// mark is the word of a comment that tells owners apart; what follows is for people.
func mark(comment string) string {
	word, _, _ := strings.Cut(comment, " ")
	return word
}

// masquerade and invalid are the names of the two chains that an entry's elements lead to.
func (e Entry) masquerade() string { return e.chain("masq_") }
func (e Entry) invalid() string    { return e.chain("invalid_") }

// marking is the name of the chain that published ports are sent to for an unusual bit of the mark.
func (e Entry) marking() string { return publishChain + "_" + strconv.Itoa(e.MarkBit) }

// marks reports whether the entry's ports have an unusual bit.
func (e Entry) marks() bool { return len(e.Ports) > 0 && e.MarkBit != UsualMarkBit }

// longestInName is what of a network's name is in that of a chain.
const longestInName = 200

// chain is kind, the network's name as far as it fits (NFT_NAME_MAXLEN is 255), and a hash of all
// that the chains depend on: of two networks, or two versions, that differ in it, each has its own.
func (e Entry) chain(kind string) string {
	text := fmt.Sprint(Schema(), e.Network, e.exclusions(), e.RandomFully)
	sum := sha256.Sum256([]byte(text))
	return kind + e.Network[:min(len(e.Network), longestInName)] + "_" + hex.EncodeToString(sum[:4])
}

// exclusions are the destinations that are not masqueraded, in order, each said once: the subnets of
// the addresses, what was excluded, and what is never routed to one place. Only those of the
// families that the entry has addresses in.
func (e Entry) exclusions() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range slices.Concat(e.Addresses, e.Exclude, multicast()) {
		if e.has(p.Addr().Is4()) {
			all = append(all, p.Masked())
		}
	}
	slices.SortFunc(all, comparePrefixes)
	return slices.DeleteFunc(slices.Compact(all), func(p netip.Prefix) bool {
		return slices.ContainsFunc(all, func(q netip.Prefix) bool { return q.Bits() < p.Bits() && q.Contains(p.Addr()) })
	})
}

func (e Entry) has(is4 bool) bool {
	return slices.ContainsFunc(e.Addresses, func(p netip.Prefix) bool { return p.Addr().Is4() == is4 })
}

func multicast() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("ff00::/8")}
}

func comparePrefixes(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// elements are the entry's own, each of which can have one owner: for each address one that
// masquerades, and one for packets that belong to no connection; those of its ports; and its port
// of a bridge whose ports are kept apart.
func (e Entry) elements() []element {
	var all []element
	for _, p := range e.Addresses {
		addr := p.Addr()
		for _, to := range []struct{ maps, chain string }{{"masq", e.masquerade()}, {"invalid", e.invalid()}} {
			all = append(all, element{set: to.maps + family(addr.Is4()), key: ifnameBytes(e.Bridge) + addrBytes(addr), chain: to.chain})
		}
	}
	all = append(all, e.publications()...)
	if e.Isolation == Isolated {
		port := ifnameBytes(e.HostLink)
		all = append(all, element{set: portsApart, key: port}, element{set: portsSelf, key: port + port})
	}
	for i := range all {
		all[i].comment = e.comment()
	}
	return bySet(all)
}

// shared are the elements of the entry's bridge, which stay as the chains do.
func (e Entry) shared() []element {
	var all []element
	pair := ifnameBytes(e.Bridge) + ifnameBytes(e.Bridge)
	if len(e.Ports) > 0 || e.Isolation != NotKept {
		all = append(all, element{set: "intra", key: pair})
	}
	if e.Localhost {
		all = append(all, element{set: "localnet", key: ifnameBytes(e.Bridge)})
	}
	if e.Isolation != NotKept {
		all = append(all, element{set: "isolated", key: ifnameBytes(e.Bridge)})
	}
	if e.Isolation == Isolated {
		all = append(all, element{set: "apart", key: pair})
	}
	return all
}

func family(is4 bool) string {
	if is4 {
		return "4"
	}
	return "6"
}
