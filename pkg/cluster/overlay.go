package cluster

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
)

// Names of the VXLAN devices: the one that sends over IPv4, and the one that sends over IPv6. A VXLAN device has one of both.
const (
	Overlay4 = "patchbay.vx"
	Overlay6 = "patchbay.vx6"
)

// Bytes that VXLAN puts around a packet (RFC 7348 section 5): Ethernet 14, VXLAN 8, UDP 8, and the header of IPv4 or IPv6.
const (
	overhead4 = 14 + 8 + 8 + 20
	overhead6 = 14 + 8 + 8 + 40
)

// MAC is the hardware address of a VXLAN device.
type MAC [6]byte

// String returns the address in the form of ip(8).
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// MACOf returns the MAC that the VXLAN device of a node has, from the InternalIP to which other nodes send: a locally administered one
// that every node computes from the Node object. So no node has to publish its own.
func MACOf(node netip.Addr) MAC {
	sum := sha256.Sum256([]byte("patchbay vtep " + node.String()))
	return MAC{0x02, sum[0], sum[1], sum[2], sum[3], sum[4]}
}

// Device is a VXLAN device that a host is to have: learning off, without a multicast group, without ARP.
type Device struct {
	Name      string
	Local     netip.Addr // source of its packets
	MAC       MAC
	MTU       int            // bytes
	VNI, Port int            // VXLAN network identifier; UDP port of all nodes
	Addresses []netip.Prefix // of the device: the source of packets of the host itself to pods of other nodes

	Entries
}

// Entries are the static entries of a VXLAN device. With them the kernel sends nothing to find a node.
type Entries struct {
	Forwards   []Forward   // sorted, as Neighbours are
	Neighbours []Neighbour // of the gateways of routes
}

// Forward is an entry of the forwarding database (FDB): the node to which frames for a MAC are sent.
type Forward struct {
	MAC MAC
	To  netip.Addr // InternalIP of the node
}

// Neighbour is an entry of the neighbour table: the MAC of the gateway of a route.
type Neighbour struct {
	Addr netip.Addr
	MAC  MAC
}

// gatewayTo returns the gateway of a route through the overlay. For IPv4 it is the network address of the CIDR, which no pod has; for IPv6
// the link-local address that a device with this MAC would have. The kernel compares no other kind of IPv6 gateway with the routes that
// exist: a gateway within the CIDR is refused as long as the CIDR has a route through another interface, so it could not be moved.
func gatewayTo(dst netip.Prefix, mac MAC) netip.Addr {
	if dst.Addr().Is4() {
		return dst.Addr()
	}
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]})
}

// overlays are the devices of a plan in the making.
type overlays struct {
	devices [2]*Device // of IPv6 and IPv4; nil: this node has no address of the family
	nodes   map[MAC]netip.Addr
}

// prepareOverlays finds which devices are possible. Without any, it is not known what this node is to have: its Node object, or its address,
// is missing, which may be so for a moment.
func (p *planning) prepareOverlays() {
	if p.config.Mode == ModeDirect {
		return
	}
	p.overlays = overlays{nodes: map[MAC]netip.Addr{}}
	for _, f := range []struct {
		is4      bool
		name     string
		overhead int
	}{{true, Overlay4, overhead4}, {false, Overlay6, overhead6}} {
		internal, local := p.ownAddress(f.is4)
		if !local.IsValid() {
			continue
		}
		d := &Device{Name: f.name, Local: local, MAC: MACOf(internal), MTU: p.host.MTU - f.overhead, VNI: p.config.VNI, Port: p.config.Port}
		if p.config.MTU != 0 {
			d.MTU = min(d.MTU, p.config.MTU)
		}
		p.overlays.nodes[d.MAC] = internal
		p.overlays.devices[family(local)] = d
	}
	p.plan.KeepOverlay = p.overlays.devices == [2]*Device{}
	if p.plan.KeepOverlay {
		p.report(p.host.Name, nodeproblem.NoUplink, "no interface has an InternalIP of this node, so the overlay stays as it is: start kubelet with --node-ip, or this program with --node-ip")
	}
}

// ownAddress returns the InternalIP of this node of a family, and the address of an interface of the host that its packets have as source:
// the same one, unless --node-ip names another. The zero Addr if one of them is missing.
func (p *planning) ownAddress(is4 bool) (internal, local netip.Addr) {
	if p.self == nil {
		return netip.Addr{}, netip.Addr{}
	}
	internal = p.self.InternalIP(is4)
	for _, addr := range p.host.Local {
		if addr.Is4() == is4 && internal.IsValid() && (!local.IsValid() || addr == internal) {
			local = addr
		}
	}
	return internal, local
}

// viaOverlay plans a route through the overlay, and the entries of the device for it.
func (p *planning) viaOverlay(c claimed) (Route, bool) {
	if p.plan.KeepOverlay {
		return Route{}, false
	}
	to, device := p.underlay(c.node)
	if device == nil {
		p.report(c.node.Name, nodeproblem.NoInternalIP, "the node has no InternalIP of a family that this node has too, so there is no overlay to it: start its kubelet with --node-ip=IPv4,IPv6")
		return Route{}, false
	}
	if !p.addressOfHost(c.node, to) {
		return Route{}, false
	}
	mac := MACOf(to)
	if other, taken := p.overlays.nodes[mac]; taken && other != to {
		p.report(c.node.Name, nodeproblem.SameMAC, "InternalIP ", to.String(), " has the same derived MAC as ", other.String(), ": give the node another address")
		return Route{}, false
	}
	p.overlays.nodes[mac] = to
	gateway := gatewayTo(c.dst, mac)
	device.Forwards = append(device.Forwards, Forward{mac, to})
	device.Neighbours = append(device.Neighbours, Neighbour{gateway, mac})
	return Route{c.dst, gateway, device.Name}, true
}

// underlay returns where packets to a node are sent, and by which device: by IPv4 if both nodes have it.
func (p *planning) underlay(n *Node) (netip.Addr, *Device) {
	for _, is4 := range []bool{true, false} {
		to := n.InternalIP(is4)
		if device := p.overlays.devices[familyOf(is4)]; device != nil && to.IsValid() {
			return to, device
		}
	}
	return netip.Addr{}, nil
}

// finishOverlays adds the devices to the plan. The one of IPv6 is there if a node needs it.
func (p *planning) finishOverlays() {
	for _, is4 := range []bool{true, false} {
		d := p.overlays.devices[familyOf(is4)]
		if d == nil || !is4 && p.overlays.devices[1] != nil && len(d.Forwards) == 0 {
			continue
		}
		for _, cidr := range p.plan.PodCIDRs {
			if !cidr.IsSingleIP() {
				d.Addresses = append(d.Addresses, netip.PrefixFrom(cidr.Addr(), cidr.Addr().BitLen()))
			}
		}
		slices.SortFunc(d.Forwards, func(a, b Forward) int { return a.To.Compare(b.To) })
		slices.SortFunc(d.Neighbours, func(a, b Neighbour) int { return a.Addr.Compare(b.Addr) })
		d.Forwards, d.Neighbours = slices.Compact(d.Forwards), slices.Compact(d.Neighbours) // a node has routes of two families
		p.plan.Devices = append(p.plan.Devices, *d)
	}
}

// podMTU returns the MTU of the pods, which does not depend on other nodes; 0 if there is none, which is reported.
func (p *planning) podMTU() int {
	mtu := p.host.MTU
	switch {
	case p.config.MTU != 0:
		return p.config.MTU
	case mtu == 0:
		p.report(p.host.Name, nodeproblem.NoUplink, "no interface has an InternalIP of this node, so its MTU is not known, and no network configuration is written: ",
			"start kubelet with --node-ip, this program with --node-ip, or set mtu")
		return 0
	case p.config.Mode == ModeDirect:
		return mtu
	case p.self.InternalIP(true).IsValid():
		mtu -= overhead4
	default:
		mtu -= overhead6
	}
	if least := p.config.leastMTU(); mtu < least {
		p.report(p.host.Name, nodeproblem.SmallMTU, fmt.Sprintf("the MTU of the interface with the InternalIP leaves %d bytes for a packet of a pod, less than %d, "+
			"and no network configuration is written: enlarge it, or set mtu", mtu, least))
		return 0
	}
	return mtu
}
