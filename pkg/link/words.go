package link

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The functions of this file return what EnsureBridge, Plug and Up send to the kernel in the words of ip(8), bridge(8) and sysctl(8), for
// `patchbay explain`. They change nothing.

// NewLinkSysctls returns the sysctls of a bridge that EnsureBridge creates, or of an interface of EnsureVLANLink, in their order; none in
// a kernel without IPv6, or for an MTU, in bytes, that is too small for it.
func NewLinkSysctls(name string, mtu int) []Sysctl { return sysctlsOf(newLinkSysctls(name), mtu) }

// Sysctls returns the sysctls of the container interface that Up sets before it sets the interface up, in their order; mtu is that of
// the interface, in bytes.
func (set Setup) Sysctls(mtu int) []Sysctl { return sysctlsOf(ipv6Sysctls(set), mtu) }

func sysctlsOf(settings []setting, mtu int) (all []Sysctl) {
	if !hasIPv6() || mtu < minMTU6 {
		return nil
	}
	for _, s := range settings {
		all = append(all, Sysctl{Name: strings.TrimPrefix(s.path, "/proc/sys/"), Value: s.want})
	}
	return all
}

// NewLinksLackIPv6 reports whether a new interface of the host begins with disable_ipv6 1.
func (h *Host) NewLinksLackIPv6() bool { return getSysctl(disablePath("default")) == "1" }

// HasIPv6 reports whether a link with an MTU, in bytes, has IPv6 in this kernel.
func HasIPv6(mtu int) bool { return hasIPv6() && mtu >= minMTU6 }

// InitialMTU returns the MTU, in bytes, with which EnsureBridge creates a bridge that gets an MTU: Linux keeps an MTU only after a change.
func InitialMTU(mtu int) int { return initialMTU(mtu) }

// AddressFlags returns the words of ip-address(8) with which the addresses of bridges, and those of containers without duplicate address
// detection, are added.
func AddressFlags(prefix netip.Prefix) []string {
	switch {
	case nodad(prefix) != 0:
		return []string{"nodad"}
	case prefix.Bits() < 31:
		addr, _ := netip.AddrFromSlice(broadcast(prefix))
		return []string{"broadcast", addr.String()}
	}
	return nil
}

// Words returns the arguments of `ip route` that add the route to an interface with addresses, as Up adds it.
func (r Route) Words(ifname string, addresses []netip.Prefix) []string {
	verb := "add"
	if r.isConnected(addresses) {
		verb = "prepend" // the kernel has its own route to this destination, which `add` takes for the same one
	}
	dst := r.Dst.String()
	if r.Dst.Bits() == 0 {
		dst = "default"
	}
	words := []string{"route", verb, dst}
	if is6(r.Dst.Addr()) {
		words = append([]string{"-6"}, words...)
	}
	if r.GW.IsValid() {
		words = append(words, "via", r.GW.String())
	}
	words = append(words, "dev", ifname)
	if r.on(&Link{}, addresses).onLink {
		words = append(words, "onlink")
	}
	if !is6(r.Dst.Addr()) && (!r.GW.IsValid() || r.Scope != 0) { // without a gateway ip-route(8) has another default
		words = append(words, "scope", scopeName(r.Scope))
	}
	for _, n := range []struct {
		word  string
		value int
	}{{"metric", r.Priority}, {"table", r.Table}, {"mtu", r.MTU}, {"advmss", r.AdvMSS}} {
		if n.value != 0 {
			words = append(words, n.word, strconv.Itoa(n.value))
		}
	}
	return words
}

func scopeName(scope int) string {
	if name := map[int]string{unix.RT_SCOPE_UNIVERSE: "global", unix.RT_SCOPE_LINK: "link", unix.RT_SCOPE_HOST: "host"}[scope]; name != "" {
		return name
	}
	return strconv.Itoa(scope)
}

// HostRouteWords returns the arguments of `ip route` that add the route of AddHostRoute.
func HostRouteWords(link string, addr netip.Addr) []string {
	words := []string{"route", "replace", hostRoute(0, addr).Dst.String(), "dev", link}
	if is6(addr) {
		return append([]string{"-6"}, words...)
	}
	return append(words, "scope", scopeName(scopeOf(addr)))
}

// OfNewPort returns the arguments of `bridge vlan` that give a new port of a bridge its VLANs; b is nil for a bridge that does not exist yet.
func (v *VLANs) OfNewPort(port string, b *Bridge) (commands [][]string) {
	if b == nil {
		b = &Bridge{Link: Link{defaultPVID: 1}}
	}
	want, has := v.table(b), vlanTable{}
	if b.defaultPVID != 0 {
		has[b.defaultPVID] = vlanPresent | vlanPVID | vlanUntagged
	}
	differs := func(id int) vlanFlags {
		if has[id] == want[id] {
			return 0
		}
		return want[id]
	}
	for _, run := range ranges(differs) {
		words := []string{"vlan", "add", "dev", port, "vid", run.VLANRange.String()}
		if run.flags&vlanPVID != 0 {
			words = append(words, "pvid")
		}
		if run.flags&vlanUntagged != 0 {
			words = append(words, "untagged")
		}
		commands = append(commands, words)
	}
	if b.defaultPVID != 0 && want[b.defaultPVID] == 0 {
		commands = append(commands, []string{"vlan", "del", "dev", port, "vid", strconv.Itoa(b.defaultPVID)})
	}
	return commands
}

// DetectsDuplicates reports whether an interface of the container detects duplicate IPv6 addresses.
func (s *Sandbox) DetectsDuplicates(ifname string) (detects bool, err error) {
	err = s.visit(func() error {
		detects = getSysctl(sysctl("ipv6", "conf", ifname, "accept_dad")) == "1"
		return nil
	})
	return detects, err
}
