package doctor

import (
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// hostInterfaces reports bridges that do not exist or are down, and host interfaces that are no port of their bridge.
func (x *examination) hostInterfaces() (found []Finding, err error) {
	for _, b := range x.bridges {
		switch {
		case b.link == nil:
			found = append(found, Finding{
				Says: fmt.Sprintf("bridge %s does not exist: its containers (%d) are unreachable", b.name, len(b.records)),
				Seen: "no interface has that name", Fix: []string{"patchbay reload"},
			})
			continue
		case !b.link.Up:
			found = append(found, Finding{
				Says: fmt.Sprintf("bridge %s is down: its containers (%d) are unreachable", b.name, len(b.records)),
				Seen: "the bridge is administratively down", Fix: []string{printable.Command("ip", "link", "set", printable.Name(b.name), "up"), "patchbay reload"}, // which restores the IPv6 addresses that it lost
			})
		}
		found = append(found, x.unplugged(b)...)
	}
	return found, nil
}

// unplugged returns a finding for each host interface that is down or no port of its bridge.
func (x *examination) unplugged(b *bridge) (found []Finding) {
	for _, r := range b.records {
		l := x.linkNamed(r.HostLink)
		if l == nil {
			continue // deleted meanwhile
		}
		f := Finding{Says: fmt.Sprintf("%s is unreachable: its host interface is no active port of bridge %s", identity.Label(r), b.name)}
		switch {
		case l.Master == 0:
			f.Seen, f.Fix = l.Name+" is no port of a bridge", []string{"patchbay reload"}
		case l.Master != b.link.Index:
			f.Seen, f.Fix = l.Name+" is a port of another bridge", []string{printable.Command("ip", "link", "set", printable.Name(l.Name), "master", printable.Name(b.name))}
		case !l.Up:
			f.Seen, f.Fix = l.Name+" is down", []string{printable.Command("ip", "link", "set", printable.Name(l.Name), "up")}
		case b.link.Up && x.isBlocked(r): // a bridge that is down disables every port
			f = Finding{
				Says: fmt.Sprintf("%s is unreachable: bridge %s has disabled its port", identity.Label(r), b.name),
				Seen: "port " + l.Name + " is disabled, which BPDU guard (stpGuard) does when the container sends a BPDU",
				Fix: []string{
					"# stop the spanning tree protocol in the container, or set stpGuard to false and attach it again",
					printable.Command("bridge", "link", "set", "dev", printable.Name(l.Name), "state", "3"),
				},
			}
		default:
			continue
		}
		found = append(found, f)
	}
	return found
}

// isBlocked reports whether BPDU guard may have disabled the port of an attachment.
func (x *examination) isBlocked(r *store.Record) bool {
	if !r.STPGuard {
		return false
	}
	l, err := x.host.Link(r.HostLink)
	return err == nil && l.IsBlocked()
}

// capacity reports bridges that are nearly full: Linux allows 1023 ports.
func (x *examination) capacity() (found []Finding, err error) {
	const few = 50
	for _, b := range x.bridges {
		if b.link == nil {
			continue
		}
		ports := 0
		for i := range x.survey.Links {
			if x.survey.Links[i].Master == b.link.Index {
				ports++
			}
		}
		if left := link.MaxPorts - ports; left < few {
			found = append(found, Finding{
				Says: fmt.Sprintf("bridge %s is nearly full: ADD fails after %d more containers", b.name, left),
				Seen: fmt.Sprintf("%d of the %d ports that Linux allows are in use", ports, link.MaxPorts),
				Fix:  []string{`# attach further containers to a network with another bridge (key "bridge")`},
			})
		}
	}
	return found, nil
}
