package link

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// BridgeAlias is the alias of a bridge that Patchbay made. A bridge without it belongs to
// somebody else and keeps its MAC, MTU and addresses.
const BridgeAlias = "patchbay:bridge"

// BridgeSpec is the bridge that a network wants.
type BridgeSpec struct {
	Name    string
	MTU     int              // bytes, of a bridge that has to be made; 0: that of the default route's interface
	MAC     net.HardwareAddr // of a bridge that has to be made; nil: one of its own
	Promisc bool             // set IFF_PROMISC; never taken away
}

// Bridge is a bridge as it was found or made.
type Bridge struct {
	Link
	Ours bool // carries BridgeAlias
}

// Bridge looks a bridge up. Errors wrap ErrNotFound or ErrNotBridge.
func (h *Host) Bridge(name string) (*Bridge, error) {
	l, err := h.byName(name)
	if err != nil {
		return nil, err
	}
	if l.Kind != "bridge" {
		return nil, fmt.Errorf("interface %s %w but of type %s", name, ErrNotBridge, l.Kind)
	}
	return &Bridge{Link: *l, Ours: l.Alias == BridgeAlias}, nil
}

// EnsureBridge finds or makes the bridge and sets it up. It is idempotent and safe against any
// number of others who do the same: whoever comes second finds the first one's.
func (h *Host) EnsureBridge(spec BridgeSpec) (*Bridge, error) {
	b, err := h.Bridge(spec.Name)
	if errors.Is(err, ErrNotFound) {
		b, err = h.makeBridge(spec)
	}
	if err == nil && !b.Up {
		b, err = h.awaitMaker(b)
	}
	if err != nil {
		return nil, err
	}
	if !b.Up {
		if err := h.setUp(b.Index); err != nil {
			return nil, fmt.Errorf("set bridge %s up: %w", spec.Name, err)
		}
	}
	if spec.Promisc && !b.Promisc {
		if err := h.change(linkHeader{index: b.Index, set: unix.IFF_PROMISC}); err != nil {
			return nil, fmt.Errorf("set bridge %s promiscuous: %w", spec.Name, err)
		}
	}
	return b, nil
}

// makerTimeout is how long a bridge that is down may be one that somebody is just making.
const makerTimeout = 100 * time.Millisecond

// awaitMaker gives whoever is making the bridge the time to finish: until then it is down, has no
// mark, and not the MTU that it will have. At the deadline it is somebody's bridge that is down.
func (h *Host) awaitMaker(b *Bridge) (*Bridge, error) {
	err := h.await([]uint{unix.RTNLGRP_LINK}, makerTimeout, func(bool) (bool, error) {
		again, err := h.Bridge(b.Name)
		if err == nil {
			b = again
		}
		return err == nil && again.Up, err
	})
	return b, err
}

// makeBridge makes a bridge with a MAC of its own. Without one it would take the lowest of
// its ports and change it, under the feet of everybody's neighbour caches, as ports come and
// go (flannel issue 1381, kubernetes issue 30783). The bridge is born down, with an MTU that is
// not the one it shall have: one message then gives it that, our mark, and sets it up, so that
// nobody sees one of them alone. Linux takes an MTU for set by somebody only when it changes, and
// one that nobody has set is always the lowest of the ports', and 1500 when the last one goes
// (br_mtu_auto_adjust, Linux 4.17).
func (h *Host) makeBridge(spec BridgeSpec) (*Bridge, error) {
	mtu := spec.MTU
	if mtu == 0 {
		mtu = h.uplinkMTU()
	}
	mac := spec.MAC
	if mac == nil {
		mac = randomMAC()
	}
	err := h.addBridge(spec.Name, mac, anotherMTU(mtu))
	if errors.Is(err, syscall.EEXIST) {
		return h.Bridge(spec.Name) // somebody was faster
	}
	if err != nil {
		return nil, fmt.Errorf("create bridge %s: %w", spec.Name, err)
	}
	b, err := h.Bridge(spec.Name)
	if err != nil {
		return nil, err
	}
	// A kernel without IPv6 has no such files, nor a bridge whose MTU is below 1280. While its own
	// link-local address is being looked for on the link, one second and more, a bridge asks for no
	// neighbour, and what comes for a container waits.
	for _, setting := range []string{"accept_ra", "accept_dad"} {
		err := setSysctl(sysctl("ipv6", "conf", spec.Name, setting), "0")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	err = h.change(linkHeader{index: b.Index, set: unix.IFF_UP},
		nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))),
		nl.NewRtAttr(unix.IFLA_IFALIAS, nl.NonZeroTerminated(BridgeAlias)))
	if err != nil {
		return nil, fmt.Errorf("finish bridge %s: %w", spec.Name, err)
	}
	return h.Bridge(spec.Name)
}

// anotherMTU is smaller where it can be: what is sent by it arrives.
func anotherMTU(mtu int) int {
	const least = 68 // ETH_MIN_MTU
	if mtu > least {
		return mtu - 1
	}
	return mtu + 1
}

func (h *Host) addBridge(name string, mac net.HardwareAddr, mtu int) error {
	req := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, linkHeader{})
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, mac))
	req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))))
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	req.AddData(info)
	return h.socket.execute(req, nil)
}

// uplinkMTU is the MTU of the interface that the default route leaves by, 1500 without one.
func (h *Host) uplinkMTU() int {
	const ethernet = 1500
	if l := h.Uplink(); l != nil {
		return l.MTU
	}
	return ethernet
}

// Uplink is the interface that the default route leaves by; nil without one.
func (h *Host) Uplink() *Link {
	library, err := h.dumper()
	if err != nil {
		return nil
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, _ := library.RouteListFiltered(family, &netlink.Route{Dst: nil, Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_DST|netlink.RT_FILTER_TABLE)
		for _, route := range routes {
			if l, err := h.get(route.LinkIndex); err == nil {
				return l
			}
		}
	}
	return nil
}

// randomMAC is locally administered and unicast.
func randomMAC() net.HardwareAddr {
	mac := make(net.HardwareAddr, 6)
	_, _ = rand.Read(mac) // never fails (crypto/rand, Go 1.24)
	mac[0] = 0x02
	return mac
}

// keepMAC gives an adopted bridge its MAC back if plugging our port has taken it away: a bridge
// whose MAC was never set has the lowest of its ports, and where there is no other port, that
// is ours, and changes with every container. With another port nothing is written, because no
// MAC of a network card or of a virtual machine's tap is higher than one that begins with fe.
func (h *Host) keepMAC(before *Bridge, port net.HardwareAddr) error {
	if before.MAC == nil { // it had ports, and lost the last one
		return h.readMAC(before)
	}
	if before.Ours || bytes.Equal(before.MAC, port) {
		return nil
	}
	now, err := h.Bridge(before.Name)
	if err != nil || !bytes.Equal(now.MAC, port) {
		return err
	}
	if err := h.change(linkHeader{index: now.Index}, nl.NewRtAttr(unix.IFLA_ADDRESS, before.MAC)); err != nil {
		return fmt.Errorf("give bridge %s its MAC %s back: %w", before.Name, before.MAC, err)
	}
	return nil
}

// RestoreMAC gives a bridge that Patchbay made the MAC that its containers know it by.
func (h *Host) RestoreMAC(b *Bridge, mac net.HardwareAddr) error {
	if err := h.change(linkHeader{index: b.Index}, nl.NewRtAttr(unix.IFLA_ADDRESS, mac)); err != nil {
		return fmt.Errorf("give bridge %s its MAC %s back: %w", b.Name, mac, err)
	}
	return nil
}

func (h *Host) readMAC(b *Bridge) error {
	now, err := h.Bridge(b.Name)
	if err == nil {
		b.MAC = now.MAC
	}
	return err
}

// keepMTU gives an adopted bridge its MTU back if a port of ours, which has another, has
// changed it.
func (h *Host) keepMTU(before *Bridge, port int) error {
	if before.Ours || port == 0 || port == before.MTU {
		return nil
	}
	return h.setMTU(before, before.MTU)
}

func (h *Host) setMTU(b *Bridge, mtu int) error {
	if err := h.change(linkHeader{index: b.Index}, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu)))); err != nil {
		return fmt.Errorf("set MTU of bridge %s to %d: %w", b.Name, mtu, err)
	}
	return nil
}

// AddressPlan is what has to happen to the addresses of a bridge.
type AddressPlan struct {
	Add, Remove []netip.Prefix
	Want        []netip.Prefix // what it shall have in the end
}

// PlanAddresses compares the addresses a bridge has with the gateways it shall have, by the
// reference bridge's rules: another IPv4 address clashes, an IPv6 one clashes if the subnets
// overlap; force removes what clashes. Link-local addresses are nobody's business. An error
// wraps ErrClash and names the address.
func PlanAddresses(has, want []netip.Prefix, force bool) (AddressPlan, error) {
	plan := AddressPlan{Want: want}
	for _, w := range want {
		if !slices.Contains(has, w) {
			plan.Add = append(plan.Add, w)
		}
	}
	for _, h := range has {
		w, clash := clashing(h, want)
		if !clash {
			continue
		}
		if !force {
			return AddressPlan{}, fmt.Errorf("%w: %s, not %s", ErrClash, h, w)
		}
		plan.Remove = append(plan.Remove, h)
	}
	return plan, nil
}

func clashing(has netip.Prefix, want []netip.Prefix) (netip.Prefix, bool) {
	if slices.Contains(want, has) || has.Addr().IsLinkLocalUnicast() {
		return netip.Prefix{}, false
	}
	for _, w := range want {
		if has.Addr().Is4() == w.Addr().Is4() && (w.Addr().Is4() || has.Overlaps(w)) {
			return w, true
		}
	}
	return netip.Prefix{}, false
}

// SetAddresses carries a plan out. An address that is there or gone already is no error.
func (h *Host) SetAddresses(b *Bridge, plan AddressPlan) error {
	for _, prefix := range plan.Remove {
		err := h.removeAddress(b.Index, prefix)
		if err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return fmt.Errorf("remove address %s from bridge %s: %w", prefix, b.Name, err)
		}
	}
	for _, prefix := range plan.Add {
		err := h.addAddress(b.Index, prefix, nodad(prefix))
		if err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("add address %s to bridge %s: %w", prefix, b.Name, err)
		}
	}
	return h.waitUsable(&b.Link, plan.Want) // also those that another ADD is just adding
}

// nodad spares an IPv6 address the second of duplicate address detection: IPAM has seen to it
// that it is the only one (plugins issue 680, kubernetes issue 54651).
func nodad(prefix netip.Prefix) uint32 {
	if is6(prefix.Addr()) {
		return unix.IFA_F_NODAD
	}
	return 0
}
