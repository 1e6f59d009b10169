package doctor

import (
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// cables: who is not plugged in, or into a bridge that is down or gone, reaches nobody.
func (x *examination) cables() (found []Finding, err error) {
	for _, b := range x.bridges {
		switch {
		case b.link == nil:
			found = append(found, Finding{
				Says: fmt.Sprintf("bridge %s is gone: its containers (%d) reach nobody", b.name, len(b.records)),
				Seen: "there is no interface of that name", Fix: []string{"patchbay reload"},
			})
			continue
		case !b.link.Up:
			found = append(found, Finding{
				Says: fmt.Sprintf("bridge %s is down: its containers (%d) reach nobody", b.name, len(b.records)),
				Seen: "somebody has set it down", Fix: []string{"ip link set " + b.name + " up", "patchbay reload"}, // IPv6 has lost its addresses
			})
		}
		found = append(found, x.unplugged(b)...)
	}
	return found, nil
}

// unplugged are the cables of a bridge's containers that are down, or lead elsewhere.
func (x *examination) unplugged(b *bridge) (found []Finding) {
	for _, r := range b.records {
		l := x.linkNamed(r.HostLink)
		if l == nil {
			continue // gone since it was seen to live
		}
		f := Finding{Says: fmt.Sprintf("%s is not plugged into bridge %s, and reaches nobody", called(r), b.name)}
		switch {
		case l.Master == 0:
			f.Seen, f.Fix = l.Name+" is no port of a bridge", []string{"patchbay reload"}
		case l.Master != b.link.Index:
			f.Seen, f.Fix = l.Name+" is a port of another", []string{fmt.Sprintf("ip link set %s master %s", l.Name, b.name)}
		case !l.Up:
			f.Seen, f.Fix = l.Name+" is down", []string{"ip link set " + l.Name + " up"}
		default:
			continue
		}
		found = append(found, f)
	}
	return found
}

// room: Linux gives a bridge 1023 ports.
func (x *examination) room() (found []Finding, err error) {
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
		if left := link.MostPorts - ports; left < few {
			found = append(found, Finding{
				Says: fmt.Sprintf("bridge %s has room for %d containers more, then ADD fails", b.name, left),
				Seen: fmt.Sprintf("%d of the %d ports that Linux gives a bridge are in use", ports, link.MostPorts),
				Fix:  []string{`# give further containers a network with another bridge (key "bridge")`},
			})
		}
	}
	return found, nil
}
