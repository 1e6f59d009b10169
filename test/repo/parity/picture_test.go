package parity

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/limits"
)

// settle waits for asynchronous changes of the kernel after an ADD, finds the host interface, and records the names and MACs that the side chose.
func (s *side) settle(t *testing.T, c *nettest.Container) {
	t.Helper()
	eth0, err := c.Netlink().LinkByName("eth0")
	if err != nil {
		t.Fatalf("%s: %v", c.Name(), err)
	}
	end, err := s.Netlink().LinkByIndex(eth0.Attrs().ParentIndex)
	if err != nil {
		t.Fatalf("host interface of %s: %v", c.Name(), err)
	}
	s.ends[c.Name()] = end.Attrs().Name
	c.Settle("eth0")
	s.Settle(s.bridge)
	s.Settle(end.Attrs().Name)
	s.findIFB(t, c)
	s.facts[c.Name()+" MAC"] = eth0.Attrs().HardwareAddr.String()
	s.facts[c.Name()+" host end MAC"] = end.Attrs().HardwareAddr.String()
	s.facts[c.Name()+" host end name"] = end.Attrs().Name
	s.facts[c.Name()+" host end alias"] = end.Attrs().Alias
}

// findIFB records the name of the ifb device that an ADD has made.
func (s *side) findIFB(t *testing.T, c *nettest.Container) {
	t.Helper()
	links, err := dump(s.Netlink().LinkList)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if _, known := s.ifbs[l.Attrs().Name]; !known && isIFB(l.Attrs().Name) {
			s.ifbs[l.Attrs().Name] = c.Name()
		}
	}
}

// role returns a link's name, or the container whose host interface it is.
func (s *side) role(name string) string {
	for container, end := range s.ends {
		if name == end {
			return "HOST-END-OF-" + container
		}
	}
	if container, known := s.ifbs[name]; known {
		return "IFB-OF-" + container
	}
	return name
}

// readHost records the state of the host.
func (s *side) readHost(t *testing.T, when string) {
	t.Helper()
	s.look(t, s.Netns, when+"host ")
	if s.row.isLimited() {
		s.facts[when+"host limits"] = strings.Join(limits.Of(t, s.Netns, s.role), ", ")
	}
	b, err := s.Netlink().LinkByName(s.bridge)
	if err != nil {
		return
	}
	mac := b.Attrs().HardwareAddr.String()
	if s.first == "" { // created by the side
		s.first = mac
		s.facts["bridge alias"] = b.Attrs().Alias
		s.facts["bridge MAC"] = mac
	}
	s.facts[when+"the bridge has the MAC of before"] = fmt.Sprint(mac == s.first)
}

// readContainer records the state of a container.
func (s *side) readContainer(t *testing.T, c *nettest.Container) {
	t.Helper()
	s.look(t, c.Netns, c.Name()+" ")
	s.addPolicy(t, c.Netns, c.Name()+" ")
}

// addPolicy records the policy rules of a container by their source and table, without those that every namespace has.
func (s *side) addPolicy(t *testing.T, n *nettest.Netns, where string) {
	t.Helper()
	rules, err := dump(func() ([]netlink.Rule, error) { return n.Netlink().RuleList(netlink.FAMILY_ALL) })
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if r.Src != nil {
			s.facts[fmt.Sprintf("%srule from %s lookup %d", where, r.Src, r.Table)] = fmt.Sprintf("priority %d", r.Priority)
		}
	}
}

func (s *side) look(t *testing.T, n *nettest.Netns, where string) {
	t.Helper()
	links, err := dump(n.Netlink().LinkList)
	if err != nil {
		t.Fatal(err)
	}
	names := map[int]string{0: "-"}
	for _, l := range links {
		names[l.Attrs().Index] = s.role(l.Attrs().Name)
	}
	for _, l := range links {
		if name := l.Attrs().Name; name != "lo" {
			s.addLink(t, n, where, l, names)
		}
	}
	s.addAddresses(t, n, where, names)
	s.addRoutes(t, n, where, names)
}

// dump repeats a netlink dump that the kernel reports as interrupted.
func dump[T any](list func() ([]T, error)) (out []T, err error) {
	for range 20 {
		if out, err = list(); err == nil {
			break
		}
	}
	return out, err
}

func (s *side) addLink(t *testing.T, n *nettest.Netns, where string, l netlink.Link, names map[int]string) {
	t.Helper()
	a := l.Attrs()
	state := func(what string, value any) {
		s.facts[where+"link "+names[a.Index]+" "+what] = fmt.Sprint(value)
	}
	state("type", l.Type())
	state("master", names[a.MasterIndex])
	state("mtu", a.MTU)
	state("group", a.Group)
	state("txqueuelen", a.TxQLen)
	state("flags", linkFlags(a.RawFlags))
	if l.Type() == "veth" {
		state("queues", fmt.Sprintf("%d sending, %d receiving", min(a.NumTxQueues, 2), min(a.NumRxQueues, 2)))
	}
	if b, ok := l.(*netlink.Bridge); ok {
		state("bridge", bridgeSettings(b))
	}
	if a.MasterIndex == 0 {
		return
	}
	port, err := n.Netlink().LinkGetProtinfo(l)
	if err != nil {
		t.Fatalf("port flags of %s: %v", a.Name, err)
	}
	state("port", port.String())
}

// linkFlags returns the administrative flags, without those that follow from carrier, which changes asynchronously.
func linkFlags(raw uint32) string {
	var out []string
	for _, f := range []struct {
		bit  uint32
		name string
	}{
		{unix.IFF_UP, "up"},
		{unix.IFF_PROMISC, "promisc"},
		{unix.IFF_ALLMULTI, "allmulti"},
		{unix.IFF_NOARP, "noarp"},
		{unix.IFF_MULTICAST, "multicast"},
		{unix.IFF_DYNAMIC, "dynamic"},
	} {
		if raw&f.bit != 0 {
			out = append(out, f.name)
		}
	}
	return strings.Join(out, " ")
}

func bridgeSettings(b *netlink.Bridge) string {
	return fmt.Sprintf("snooping %s ageing %s hello %s vlan_filtering %s pvid %s group_fwd_mask %s",
		deref(b.MulticastSnooping), deref(b.AgeingTime), deref(b.HelloTime), deref(b.VlanFiltering), deref(b.VlanDefaultPVID), deref(b.GroupFwdMask))
}

func deref[T any](p *T) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprint(*p)
}

func (s *side) addAddresses(t *testing.T, n *nettest.Netns, where string, names map[int]string) {
	t.Helper()
	list, err := dump(func() ([]netlink.Addr, error) { return n.Netlink().AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		name := names[a.LinkIndex]
		value := fmt.Sprintf("scope %d flags %s broadcast %s", a.Scope, addressFlags(a.Flags), a.Broadcast)
		if kernelMade(a.IP) {
			s.facts[where+"address "+name+" fe80:: of its MAC"] = value
			continue
		}
		s.facts[where+"address "+name+" "+a.IPNet.String()] = value
	}
}

// kernelMade reports whether an address is the link-local one that Linux derives from a MAC.
func kernelMade(ip net.IP) bool {
	return ip.To4() == nil && ip.IsLinkLocalUnicast() && ip[11] == 0xff && ip[12] == 0xfe
}

// addressFlags returns the flags without tentative, which changes asynchronously.
func addressFlags(flags int) string {
	var out []string
	for _, f := range []struct {
		bit  int
		name string
	}{
		{unix.IFA_F_PERMANENT, "permanent"},
		{unix.IFA_F_NODAD, "nodad"},
		{unix.IFA_F_SECONDARY, "secondary"},
		{unix.IFA_F_DADFAILED, "dadfailed"},
		{unix.IFA_F_NOPREFIXROUTE, "noprefixroute"},
		{unix.IFA_F_DEPRECATED, "deprecated"},
	} {
		if flags&f.bit != 0 {
			out = append(out, f.name)
		}
	}
	return strings.Join(out, ",")
}

// addRoutes records the routes of every table but the local one, which follows from the addresses.
func (s *side) addRoutes(t *testing.T, n *nettest.Netns, where string, names map[int]string) {
	t.Helper()
	list, err := dump(func() ([]netlink.Route, error) {
		return n.Netlink().RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if r.Table == unix.RT_TABLE_LOCAL || r.Dst != nil && kernelSubnet(r.Dst.IP) {
			continue
		}
		key := fmt.Sprintf("route %s via %s dev %s metric %d table %d", r.Dst, r.Gw, names[r.LinkIndex], r.Priority, r.Table)
		s.facts[where+key] = fmt.Sprintf("scope %d proto %s src %s flags %v mtu %d advmss %d hops %d", r.Scope, r.Protocol, r.Src, r.ListFlags(), r.MTU, r.AdvMSS, len(r.MultiPath))
	}
}

// kernelSubnet reports whether the kernel adds a route for every link that is up: fe80::/64 and ff00::/8.
func kernelSubnet(ip net.IP) bool {
	return ip.To4() == nil && (ip.IsLinkLocalUnicast() || ip.IsMulticast())
}

// sysctls returns the settings below /proc/sys/net of a namespace, without those of neighbour tables, which have no default to compare with.
func (s *side) sysctls(n *nettest.Netns) facts {
	out := facts{}
	n.Do(func() {
		_ = filepath.WalkDir("/proc/sys/net", func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() == "neigh" {
				return fs.SkipDir
			}
			if err != nil || d.IsDir() {
				return nil
			}
			if text, err := os.ReadFile(path); err == nil { // some are not readable
				out[strings.TrimPrefix(path, "/proc/sys/net/")] = strings.TrimSpace(string(text))
			}
			return nil
		})
	})
	return out
}

// addSysctls records the changes since before; for a new interface, the differences from the defaults.
func (s *side) addSysctls(n *nettest.Netns, where string, before facts) {
	now := s.sysctls(n)
	for path, value := range now {
		parts := strings.Split(path, "/")
		was, known := before[path]
		if !known && len(parts) == 4 {
			was = now[strings.Join([]string{parts[0], parts[1], "default", parts[3]}, "/")]
		}
		if value == was || slices.Contains([]string{"mtu", "nf_conntrack_count", "nf_conntrack_buckets"}, parts[len(parts)-1]) {
			continue
		}
		if len(parts) == 4 {
			parts[2] = s.role(parts[2])
		}
		s.facts[where+strings.Join(parts, "/")] = value
	}
}
