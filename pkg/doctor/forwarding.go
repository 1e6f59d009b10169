package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// forwarding reports disabled IP forwarding, which the host needs to route between a bridge and other networks.
func (x *examination) forwarding() (found []Finding, err error) {
	for _, is4 := range []bool{true, false} {
		sysctl, forwards := "net.ipv4.ip_forward", x.survey.Forward4
		if !is4 {
			sysctl, forwards = "net.ipv6.conf.all.forwarding", x.survey.Forward6
		}
		for _, b := range x.bridges {
			if forwards || !b.routed(is4) {
				continue
			}
			found = append(found, Finding{
				Says: fmt.Sprintf("%s forwarding is disabled: containers on bridge %s cannot reach other networks, and their published ports are unreachable", family(is4), b.name),
				Seen: sysctl + " is 0",
				Fix: []string{
					printable.Command("sysctl", "-w", sysctl+"=1"),
					"# find what sets it to 0: " + printable.Command("grep", "-rs", sysctl, "/etc/sysctl.conf", "/etc/sysctl.d", "/run/sysctl.d", "/usr/lib/sysctl.d"),
				},
			})
		}
	}
	for _, b := range x.bridges {
		found = append(found, x.limits(b)...)
	}
	return found, nil
}

// limits reports settings of single interfaces that disable forwarding for them.
func (x *examination) limits(b *bridge) (found []Finding) {
	now, err := x.host.Bridge(b.name)
	if err != nil {
		return nil // hostInterfaces reports it
	}
	for _, l := range x.limitsOf(now, b) {
		f := Finding{Says: l.Says, Seen: l.Seen(), Fix: []string{l.Command(), "# add it to /etc/sysctl.d to keep it after a reboot"}}
		if l.Ours {
			f.Fix = []string{"patchbay reload"}
		}
		found = append(found, f)
	}
	return found
}

// limitsOf returns the limits of the attachments to a bridge, and to each VLAN of it that has a gateway.
func (x *examination) limitsOf(now *link.Bridge, b *bridge) (found []*attach.Limit) {
	var names []string
	by := map[string][]*store.Record{}
	for _, r := range b.records {
		name := r.RoutedBy()
		if by[name] == nil {
			names = append(names, name)
		}
		by[name] = append(by[name], r)
	}
	for _, name := range names {
		gate, err := x.host.Gate(now, name)
		if err != nil {
			continue // segments reports it
		}
		found = append(found, attach.Limits(x.host, gate, by[name], b.routed(true))...)
	}
	return found
}

// rules reports attachments whose rules are missing in nftables, as one finding: one command restores all.
func (x *examination) rules() (found []Finding, err error) {
	rules, err := x.inventory.Rules()
	if err != nil {
		return nil, err
	}
	var names, seen []string
	for _, r := range x.live {
		lost := rules.Missing(r)
		if x.linkNamed(r.Bridge) == nil || len(lost) == 0 { // hostInterfaces reports a bridge that does not exist
			continue
		}
		names, seen = append(names, identity.Label(r)), append(seen, lost...)
	}
	if len(names) == 0 {
		return nil, nil
	}
	return []Finding{{
		Says: fmt.Sprintf("nftables rules of %s are missing: masquerade, published ports or isolation do not work", andMore(names)),
		Seen: andMore(seen), Fix: []string{"patchbay reload"},
	}}, nil
}

// andMore returns the first of several texts, and how many more there are.
func andMore(all []string) string {
	if len(all) == 1 {
		return all[0]
	}
	return fmt.Sprintf("%s (and %d more)", all[0], len(all)-1)
}

// routes reports containers to which the host's route does not use their bridge. With strict rp_filter the
// host also drops what they send.
func (x *examination) routes() (found []Finding, err error) {
	for _, b := range x.bridges {
		for _, r := range b.records {
			if f, wrong := x.wrongRoute(b, r); wrong {
				found = append(found, f)
				break // one finding for each bridge
			}
		}
	}
	return found, err
}

func (x *examination) wrongRoute(b *bridge, r *store.Record) (Finding, bool) {
	if b.link == nil || !b.link.Up || !r.Gateway && r.Publish == nil {
		return Finding{}, false
	}
	for _, a := range r.Addresses {
		addr := a.Address.Addr()
		way, err := x.host.InterfaceTo(addr)
		if err == nil && way == r.RoutedBy() {
			continue
		}
		f := Finding{
			Says: fmt.Sprintf("the host's route to %s (%s) does not use bridge %s: replies and connections to published ports are lost", addr, identity.Label(r), b.name),
			Seen: fmt.Sprintf("%s: dev %s", printable.Command("ip", "route", "get", addr.String()), way),
			Fix:  x.fixRoute(b, way, addr),
		}
		if err != nil {
			f.Seen = err.Error()
		}
		if addr.Is4() && link.ReversePath(b.name) == 1 {
			f.Seen += fmt.Sprintf("; rp_filter of %s is 1, which drops what the container sends", b.name)
		}
		return f, true
	}
	return Finding{}, false
}

// fixRoute returns what makes the host's route to an address use its bridge. Only the administrator knows whether the
// host needs the address of another interface: those lines are not commands.
func (x *examination) fixRoute(b *bridge, way string, addr netip.Addr) []string {
	if !covers(b.link, addr) {
		return []string{"patchbay reload"} // which restores addresses and routes of the bridge
	}
	fix := []string{"# two interfaces are in the same subnet: " + printable.Command("ip", "route", "show", "match", addr.String())}
	other := x.linkNamed(way)
	if other == nil {
		return fix
	}
	for _, a := range other.Addresses {
		if a.Prefix.Contains(addr) {
			fix = append(fix, "# if the host does not need it: "+printable.Command("ip", "address", "del", a.Prefix.String(), "dev", printable.Name(way)))
		}
	}
	return append(fix, "# else configure another subnet for the network, and attach its containers again")
}

func covers(l *link.SurveyLink, addr netip.Addr) bool {
	return slices.ContainsFunc(l.Addresses, func(a link.SurveyAddress) bool { return a.Prefix.Contains(addr) })
}

// brNetfilter reports containers that cannot reach their own published ports because br_netfilter passes bridged
// packets to iptables. What firewalls drop for that reason, the check firewall reports.
func (x *examination) brNetfilter() (found []Finding, err error) {
	for _, b := range x.bridges {
		for _, r := range b.records {
			if r.Publish == nil || r.Publish.Plain || !calls(r) || x.hasHairpin(r) {
				continue
			}
			found = append(found, Finding{
				Says: fmt.Sprintf("%s cannot reach its own published ports: br_netfilter was enabled after it was attached", identity.Label(r)),
				Seen: fmt.Sprintf("bridge-nf-call-iptables or -ip6tables is 1, hairpin mode of %s is off", r.HostLink),
				Fix:  []string{printable.Command("bridge", "link", "set", "dev", printable.Name(r.HostLink), "hairpin", "on"), "# or attach it again"},
			})
		}
	}
	return found, nil
}

// hasHairpin reports whether a bridge port may send frames back to where they came from. Other checks report one that
// is no port or does not exist.
func (x *examination) hasHairpin(r *store.Record) bool {
	l, err := x.host.Link(r.HostLink)
	return err != nil || l.Port == nil || l.Port.Hairpin
}

func calls(r *store.Record) bool {
	for _, p := range r.Publish.Ports {
		if link.BridgeCalls(p.Container.Is4()) {
			return true
		}
	}
	return false
}
