// Package overlay carries out the overlay of a plan of package cluster: it makes VXLAN devices, and reads and writes their static entries, by
// rtnetlink. Routes through them are those of package noderoute.
//
//	h, err := overlay.Open()
//	index, change, err := h.Ensure(device)         // ErrForeign: another program has made an interface of that name
//	have, err := h.Entries(index)
//	err = h.SetForward(index, forward)             // then SetNeighbour, then the route
//	removed, err := h.Remove(cluster.Overlay4)
//
// How it knows what is its own, so that it changes and deletes nothing else:
//
//   - A device has one of the two names, is a VXLAN device, and has the alias Mark, or the MAC that is derived from its own source address.
//     The kernel takes no alias in the request that creates a device, so that one whose program was killed before the second request has the
//     MAC alone.
//   - A neighbour entry of such a device has the protocol of this program (NDA_PROTOCOL, Linux 5.0).
//   - An entry of its forwarding database leads to the address that its MAC is derived from.
//   - An address of it is a single one, within the networks of the cluster.
//
// Constraints:
//
//   - The device has IFF_NOARP, and no IPv6 link-local address: the kernel then sends neither ARP nor neighbour discovery, also if an entry
//     is missing, and announces no address. It has no multicast group and no entry for broadcasts, which therefore stay in the host.
//   - Nothing is written to /proc/sys, which is read-only in a container that has CAP_NET_ADMIN alone.
package overlay
