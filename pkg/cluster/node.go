package cluster

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Object is the part of a Node object that a plan depends on, as the API has it.
type Object struct {
	Name, UID   string
	Created     time.Time // metadata.creationTimestamp
	PodCIDRs    []string  // spec.podCIDRs
	InternalIPs []string  // status.addresses of type InternalIP, in their order
}

// Node is an Object that was read.
type Node struct {
	Name, UID   string
	Created     time.Time
	PodCIDRs    []netip.Prefix // with host bits cleared
	InternalIPs []netip.Addr
	Unreadable  []string // of both lists, what is no CIDR or no address
}

// Node reads the CIDRs and addresses. An IPv4 address or CIDR in the form of IPv6 (::ffff:192.0.2.1) is unreadable, as it is for the API
// server.
func (o Object) Node() Node {
	n := Node{Name: o.Name, UID: o.UID, Created: o.Created}
	for _, text := range o.PodCIDRs {
		prefix, err := netip.ParsePrefix(text)
		if err != nil || prefix.Addr().Is4In6() {
			n.Unreadable = append(n.Unreadable, text)
			continue
		}
		n.PodCIDRs = append(n.PodCIDRs, prefix.Masked())
	}
	for _, text := range o.InternalIPs {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Is4In6() || addr.Zone() != "" {
			n.Unreadable = append(n.Unreadable, text)
			continue
		}
		n.InternalIPs = append(n.InternalIPs, addr)
	}
	return n
}

// InternalIP returns the first InternalIP of a family: the one that kubelet registers first. It is the zero Addr without one.
func (n Node) InternalIP(is4 bool) netip.Addr {
	for _, addr := range n.InternalIPs {
		if addr.Is4() == is4 {
			return addr
		}
	}
	return netip.Addr{}
}

// Same reports whether a plan is the same with either of two versions of a node. Most changes of a Node object, such as the status that
// kubelet reports every few minutes, are of no concern.
func (n Node) Same(other Node) bool {
	return n.Name == other.Name && n.UID == other.UID && n.Created.Equal(other.Created) && slices.Equal(n.PodCIDRs, other.PodCIDRs) &&
		slices.Equal(n.InternalIPs, other.InternalIPs) && slices.Equal(n.Unreadable, other.Unreadable)
}

// oldestFirst orders nodes by creationTimestamp, then uid, then name: the order in which they claim CIDRs. Timestamps have whole seconds,
// so that of several nodes is often the same.
func oldestFirst(a, b *Node) int {
	return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.UID, b.UID), strings.Compare(a.Name, b.Name))
}
