package doctor

import (
	"fmt"

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
				Fix:  []string{"sysctl -w " + sysctl + "=1", "and see who sets it to 0: grep -r " + sysctl + " /etc/sysctl.conf /etc/sysctl.d /usr/lib/sysctl.d"},
			})
		}
	}
	return found, nil
}

// rules: what an attachment has lost of what it should have in nftables.
func (x *examination) rules() (found []Finding, err error) {
	ruleset, err := attach.LookAtRules()
	if err != nil {
		return nil, err
	}
	for _, r := range x.living {
		lost := ruleset.Lost(r)
		if len(lost) == 0 {
			continue
		}
		seen := lost[0]
		if len(lost) > 1 {
			seen += fmt.Sprintf(" (and %d more like it)", len(lost)-1)
		}
		found = append(found, Finding{
			Says: fmt.Sprintf("rules of %s are gone: masquerade, published ports or isolation of the container do not work", r.Key()),
			Seen: seen, Fix: []string{"patchbay reload"},
		})
	}
	return found, nil
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
	if b.link == nil || !r.Gateway && r.Publish == nil {
		return Finding{}, false
	}
	for _, a := range r.Addresses {
		addr := a.Address.Addr()
		way, err := x.host.WayTo(addr)
		if err == nil && way == b.name {
			continue
		}
		f := Finding{
			Says: fmt.Sprintf("the host does not send to %s of %s by bridge %s: its answers, and what comes to its ports, go astray", addr, r.Key(), b.name),
			Seen: fmt.Sprintf("ip route get %s: dev %s", addr, way),
			Fix:  []string{fmt.Sprintf("ip route show match %s", a.Address.Masked()), "give the network a subnet that no other interface has, or the bridge its gateway address again: patchbay reload"},
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

// brNetfilter shows bridged packets to the ruleset. What that changes for published ports is said;
// what a firewall makes of it, the look at firewalls says.
func (x *examination) brNetfilter() (found []Finding, err error) {
	for _, b := range x.bridges {
		for _, r := range b.records {
			if r.Publish == nil || r.Publish.Plain || r.Hairpin || !calls(r) {
				continue
			}
			found = append(found, Finding{
				Says: fmt.Sprintf("%s does not reach the ports that it publishes itself: br_netfilter was switched on after it was attached", r.Key()),
				Seen: fmt.Sprintf("bridge-nf-call-iptables or -ip6tables is 1, hairpin mode of %s is off", r.HostLink),
				Fix:  []string{fmt.Sprintf("bridge link set dev %s hairpin on", r.HostLink), "or attach it again"},
			})
		}
	}
	return found, nil
}

func calls(r *store.Record) bool {
	for _, p := range r.Publish.Ports {
		if link.BridgeCalls(p.Container.Is4()) {
			return true
		}
	}
	return false
}

// mtu: a frame that is too long for the next link is dropped, by a bridge without a word.
func (x *examination) mtu() (found []Finding, err error) {
	for _, b := range x.bridges {
		if b.link == nil {
			continue
		}
		for _, r := range b.records {
			if l := x.linkNamed(r.HostLink); l != nil && l.MTU > b.link.MTU {
				found = append(found, Finding{
					Says: fmt.Sprintf("what %s sends at full length is dropped by bridge %s", r.Key(), b.name),
					Seen: fmt.Sprintf("MTU of %s is %d, of %s %d", l.Name, l.MTU, b.name, b.link.MTU),
					Fix:  []string{fmt.Sprintf("ip link set %s mtu %d", b.name, l.MTU), "or attach the container again"},
				})
			}
		}
		if uplink := x.uplink(); uplink != nil && b.link.MTU > uplink.MTU && uplink.Name != b.name {
			found = append(found, Finding{
				Says: fmt.Sprintf("containers on bridge %s send longer packets than %s takes: where ICMP is filtered, large transfers hang", b.name, uplink.Name),
				Seen: fmt.Sprintf("MTU of %s is %d, of %s %d", b.name, b.link.MTU, uplink.Name, uplink.MTU),
				Fix:  []string{fmt.Sprintf(`set "mtu": %d in the network's configuration, and attach the containers again`, uplink.MTU)},
			})
		}
	}
	return found, nil
}

// uplink is the interface of the best default route; nil without one.
func (x *examination) uplink() *link.SurveyLink {
	for _, r := range x.survey.Routes {
		if l := x.linkNamed(r.Link); l != nil {
			return l
		}
	}
	return nil
}

// room: Linux gives a bridge 1023 ports.
func (x *examination) room() (found []Finding, err error) {
	const few = 50
	for _, b := range x.bridges {
		if b.link == nil {
			found = append(found, Finding{
				Says: fmt.Sprintf("bridge %s is gone: its %d containers reach nobody", b.name, len(b.records)),
				Seen: "there is no interface of that name", Fix: []string{"patchbay reload"},
			})
			continue
		}
		ports := 0
		for i := range x.survey.Links {
			if x.survey.Links[i].Master == b.link.Index {
				ports++
			}
		}
		if left := link.MostPorts - ports; left < few {
			found = append(found, Finding{
				Says: fmt.Sprintf("bridge %s has room for %d containers more", b.name, left),
				Seen: fmt.Sprintf("%d of the %d ports that Linux gives a bridge are in use", ports, link.MostPorts),
				Fix:  []string{"give further containers a network with another bridge (key bridge)"},
			})
		}
	}
	return found, nil
}
