package doctor

import (
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// mtu: what is too long for the next link is dropped. A bridge says nothing about it, a router says so
// by ICMP, which some firewall on the way may drop.
func (x *examination) mtu() (found []Finding, err error) {
	for _, b := range x.bridges {
		most := x.longest(b)
		if b.link == nil || most == 0 {
			continue
		}
		routed := b.routed(true) || b.routed(false)
		if port := x.shortest(b); port != nil && port.MTU < most {
			found = append(found, Finding{
				Says: fmt.Sprintf("bridge %s drops what containers send to %s at full length, and tells nobody", b.name, port.Name),
				Seen: fmt.Sprintf("MTU of %s is %d, of containers %d", port.Name, port.MTU, most),
				Fix:  []string{attachShorter(port.MTU), fmt.Sprintf("# or, if all behind it can take that: ip link set %s mtu %d", port.Name, most)},
			})
		} else if routed && b.link.MTU < most {
			found = append(found, Finding{
				Says: fmt.Sprintf("the host sends only short packets to containers on bridge %s: where ICMP is filtered, large transfers to them hang", b.name),
				Seen: fmt.Sprintf("MTU of %s is %d, of containers %d", b.name, b.link.MTU, most),
				Fix:  []string{fmt.Sprintf("ip link set %s mtu %d", b.name, most)},
			})
		}
		if up := x.uplink(); routed && up != nil && up.Name != b.name && up.MTU < min(most, b.link.MTU) {
			found = append(found, Finding{
				Says: fmt.Sprintf("containers on bridge %s send longer packets than %s takes: where ICMP is filtered, large transfers hang", b.name, up.Name),
				Seen: fmt.Sprintf("MTU of %s is %d, of containers %d", up.Name, up.MTU, most),
				Fix:  []string{attachShorter(up.MTU)},
			})
		}
	}
	return found, nil
}

func attachShorter(mtu int) string {
	return fmt.Sprintf(`# set "mtu": %d in the network's configuration, and attach the containers again`, mtu)
}

// longest is the greatest MTU of a bridge's containers, in bytes; 0 if there is none. Both ends of a
// cable have the same.
func (x *examination) longest(b *bridge) (most int) {
	for _, r := range b.records {
		if l := x.linkNamed(r.HostLink); l != nil {
			most = max(most, l.MTU)
		}
	}
	return most
}

// shortest is the port of a bridge with the smallest MTU; nil if it has none.
func (x *examination) shortest(b *bridge) (least *link.SurveyLink) {
	for i := range x.survey.Links {
		if l := &x.survey.Links[i]; l.Master == b.link.Index && (least == nil || l.MTU < least.MTU) {
			least = l
		}
	}
	return least
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
