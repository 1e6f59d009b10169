package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// forwarding: without it nothing passes between a bridge and anything else.
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
				Says: fmt.Sprintf("the host does not forward %s: containers on bridge %s reach nothing beyond the host, and nobody reaches their ports", family(is4), b.name),
				Seen: sysctl + " is 0",
				Fix:  []string{"sysctl -w " + sysctl + "=1", "# who sets it to 0: grep -rs " + sysctl + " /etc/sysctl.conf /etc/sysctl.d /run/sysctl.d /usr/lib/sysctl.d"},
			})
		}
	}
	return found, nil
}

// rules: what attachments have lost of what they should have in nftables. Whatever it is, and however
// many they are, one command mends it: they are one finding.
func (x *examination) rules() (found []Finding, err error) {
	ruleset, err := attach.LookAtRules()
	if err != nil {
		return nil, err
	}
	var whose, seen []string
	for _, r := range x.living {
		lost := ruleset.Lost(r)
		if x.linkNamed(r.Bridge) == nil || len(lost) == 0 { // without a bridge nothing works: cables says so
			continue
		}
		whose, seen = append(whose, called(r)), append(seen, lost...)
	}
	if len(whose) == 0 {
		return nil, nil
	}
	return []Finding{{
		Says: fmt.Sprintf("rules of %s are gone: masquerade, published ports or isolation do not work there", andMore(whose)),
		Seen: andMore(seen), Fix: []string{"patchbay reload"},
	}}, nil
}

// andMore is the first of several, and how many others there are.
func andMore(all []string) string {
	if len(all) == 1 {
		return all[0]
	}
	return fmt.Sprintf("%s (and %d more)", all[0], len(all)-1)
}

// routes: the host must send to a container by its bridge. With a strict rp_filter it drops what
// comes in, too.
func (x *examination) routes() (found []Finding, err error) {
	for _, b := range x.bridges {
		for _, r := range b.records {
			if f, wrong := x.astray(b, r); wrong {
				found = append(found, f)
				break // one of a bridge tells it
			}
		}
	}
	return found, err
}

func (x *examination) astray(b *bridge, r *store.Record) (Finding, bool) {
	if b.link == nil || !b.link.Up || !r.Gateway && r.Publish == nil {
		return Finding{}, false
	}
	for _, a := range r.Addresses {
		addr := a.Address.Addr()
		way, err := x.host.WayTo(addr)
		if err == nil && way == b.name {
			continue
		}
		f := Finding{
			Says: fmt.Sprintf("the host does not send to %s of %s by bridge %s: its answers, and what comes to its ports, go astray", addr, called(r), b.name),
			Seen: fmt.Sprintf("ip route get %s: dev %s", addr, way),
			Fix:  x.leadBack(b, way, addr),
		}
		if err != nil {
			f.Seen = err.Error()
		}
		if addr.Is4() && link.ReversePath(b.name) == 1 {
			f.Seen += fmt.Sprintf("; rp_filter of %s is 1, so that what the container sends is dropped", b.name)
		}
		return f, true
	}
	return Finding{}, false
}

// leadBack is what makes the host send to an address by its bridge. Nobody but its administrator can
// say whether the host can do without what another interface has: those lines are no commands.
func (x *examination) leadBack(b *bridge, way string, addr netip.Addr) []string {
	if !covers(b.link, addr) {
		return []string{"patchbay reload"} // which gives the bridge its addresses and routes again
	}
	fix := []string{fmt.Sprintf("# two interfaces are in one subnet: ip route show match %s", addr)}
	other := x.linkNamed(way)
	if other == nil {
		return fix
	}
	for _, a := range other.Addresses {
		if a.Prefix.Contains(addr) {
			fix = append(fix, fmt.Sprintf("# if the host can do without: ip address del %s dev %s", a.Prefix, way))
		}
	}
	return append(fix, "# else give the network another subnet, and attach its containers again")
}

func covers(l *link.SurveyLink, addr netip.Addr) bool {
	return slices.ContainsFunc(l.Addresses, func(a link.SurveyAddress) bool { return a.Prefix.Contains(addr) })
}

// brNetfilter shows bridged packets to the ruleset. What that changes for published ports is said;
// what a firewall makes of it, the look at firewalls says.
func (x *examination) brNetfilter() (found []Finding, err error) {
	for _, b := range x.bridges {
		for _, r := range b.records {
			if r.Publish == nil || r.Publish.Plain || !calls(r) || x.turnsBack(r) {
				continue
			}
			found = append(found, Finding{
				Says: fmt.Sprintf("%s does not reach the ports that it publishes itself: br_netfilter was switched on after it was attached", called(r)),
				Seen: fmt.Sprintf("bridge-nf-call-iptables or -ip6tables is 1, hairpin mode of %s is off", r.HostLink),
				Fix:  []string{fmt.Sprintf("bridge link set dev %s hairpin on", r.HostLink), "# or attach it again"},
			})
		}
	}
	return found, nil
}

// turnsBack reports whether frames may leave by the port that they came in. Of one that is no port, or
// gone meanwhile, others tell.
func (x *examination) turnsBack(r *store.Record) bool {
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
