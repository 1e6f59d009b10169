package doctor

import (
	"fmt"
	"strconv"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// mtu reports interfaces with a smaller MTU than the containers behind them. A bridge drops longer frames silently; a
// router sends ICMP, which a firewall may drop.
func (x *examination) mtu() (found []Finding, err error) {
	for _, b := range x.bridges {
		most := x.longest(b)
		if b.link == nil || most == 0 {
			continue
		}
		routed := b.routed(true) || b.routed(false)
		if port := x.shortest(b); port != nil && port.MTU < most {
			found = append(found, Finding{
				Says: fmt.Sprintf("bridge %s silently drops full-size frames that containers send to %s", b.name, port.Name),
				Seen: fmt.Sprintf("MTU of %s is %d, of containers %d", port.Name, port.MTU, most),
				Fix:  []string{attachShorter(port.MTU), "# or, if everything behind it supports that: " + setMTU(port.Name, most)},
			})
		} else if routed && b.link.MTU < most {
			found = append(found, Finding{
				Says: fmt.Sprintf("the MTU of bridge %s is smaller than that of its containers: large transfers to them hang where ICMP is filtered", b.name),
				Seen: fmt.Sprintf("MTU of %s is %d, of containers %d", b.name, b.link.MTU, most),
				Fix:  []string{setMTU(b.name, most)},
			})
		}
		if up := x.uplink(); routed && up != nil && up.Name != b.name && up.MTU < min(most, b.link.MTU) {
			found = append(found, Finding{
				Says: fmt.Sprintf("the MTU of containers on bridge %s exceeds that of %s: large transfers hang where ICMP is filtered", b.name, up.Name),
				Seen: fmt.Sprintf("MTU of %s is %d, of containers %d", up.Name, up.MTU, most),
				Fix:  []string{attachShorter(up.MTU)},
			})
		}
	}
	return found, nil
}

func setMTU(name string, mtu int) string {
	return printable.Command("ip", "link", "set", printable.Name(name), "mtu", strconv.Itoa(mtu))
}

func attachShorter(mtu int) string {
	return fmt.Sprintf(`# set "mtu": %d in the network's configuration, and attach the containers again`, mtu)
}

// longest returns the greatest MTU of a bridge's containers in bytes, 0 if there are none. Both ends of a veth pair
// have the same.
func (x *examination) longest(b *bridge) (most int) {
	for _, r := range b.records {
		if l := x.linkNamed(r.HostLink); l != nil {
			most = max(most, l.MTU)
		}
	}
	return most
}

// shortest returns the port of a bridge with the smallest MTU, nil if it has none.
func (x *examination) shortest(b *bridge) (least *link.SurveyLink) {
	for i := range x.survey.Links {
		if l := &x.survey.Links[i]; l.Master == b.link.Index && (least == nil || l.MTU < least.MTU) {
			least = l
		}
	}
	return least
}

// uplink returns the interface of the best default route, nil without one.
func (x *examination) uplink() *link.SurveyLink {
	for _, r := range x.survey.Routes {
		if l := x.linkNamed(r.Link); l != nil {
			return l
		}
	}
	return nil
}
