package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// unknownNetns is the ID of a network namespace to which the kernel has given none
// (NETNSA_NSID_NOT_ASSIGNED).
const unknownNetns = -1

// PeerInSandbox reports whether a link of the host is one end of a pair, veth or netkit, whose other end is in
// the sandbox. It compares namespace IDs: the peer's interface index is meaningful only within its own
// namespace, where another interface of the host may have the same.
func (h *Host) PeerInSandbox(l *Link, s *Sandbox) (bool, error) {
	if l.peerNetns == unknownNetns || l.Kind != "veth" && l.Kind != "netkit" {
		return false, nil
	}
	id, err := h.netnsID(s)
	return err == nil && id == l.peerNetns, err
}

// netnsID returns the ID by which the host's links refer to the namespace of a sandbox
// (IFLA_LINK_NETNSID); unknownNetns if no link of the host refers to it.
//
// The numbers are local to the namespace that asks (ip-netns(8), "ip netns list-id"): two
// namespaces may have different IDs for a third. The kernel assigns one when the first link
// refers to a namespace, and answers -1 without an error if none does.
func (h *Host) netnsID(s *Sandbox) (int, error) {
	const attrID, attrFD = 1, 3 // NETNSA_NSID and NETNSA_FD, linux/net_namespace.h
	req := nl.NewNetlinkRequest(unix.RTM_GETNSID, 0)
	req.AddData(&nl.RtGenMsg{RtGenmsg: unix.RtGenmsg{Family: unix.AF_UNSPEC}})
	req.AddData(nl.NewRtAttr(attrFD, nl.Uint32Attr(uint32(s.file.Fd()))))
	id := unknownNetns
	err := h.socket.execute(req, func(body []byte) {
		for kind, value := range nlsock.Attributes(body[min(nlsock.Align(unix.SizeofRtGenmsg), len(body)):]) {
			if kind == attrID {
				id = signed(value)
			}
		}
	})
	if err != nil {
		return id, fmt.Errorf("look up network namespace %s: %w", s.Path, err)
	}
	return id, nil
}

// signed reads a signed 32-bit value; -1 if the length is another one.
func signed(value []byte) int {
	if len(value) != 4 {
		return -1
	}
	return int(int32(binary.NativeEndian.Uint32(value)))
}

// RoutesThrough reports whether the host has a default route, or a route through a router, by an
// interface that is given by its index; of either family and in any table.
func (h *Host) RoutesThrough(index int) (found bool, err error) {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		for range maxDumps {
			err = h.socket.execute(gatewayRequest(index, family), func(body []byte) {
				found = found || isDefault(body, index) || len(parseGateways(body, index)) > 0
			})
			if !errors.Is(err, netlink.ErrDumpInterrupted) {
				break
			}
		}
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return found, fmt.Errorf("list routes through interface %d: %w", index, err)
		}
	}
	return found, nil
}

// isDefault reports whether an RTM_NEWROUTE is a default route by an interface.
func isDefault(body []byte, index int) bool {
	if len(body) < unix.SizeofRtMsg || nl.DeserializeRtMsg(body).Dst_len != 0 {
		return false
	}
	return parseHop(body).link == index
}

// AddressedByHost returns the first address that the host has on an interface, given by its index.
// Link-local addresses are ignored: the kernel adds one to every interface that is up.
func (h *Host) AddressedByHost(index int) (netip.Prefix, error) {
	has, err := h.Addresses(index)
	for _, prefix := range has {
		if !prefix.Addr().IsLinkLocalUnicast() {
			return prefix, err
		}
	}
	return netip.Prefix{}, err
}
