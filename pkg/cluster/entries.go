package cluster

import "net/netip"

// EntryChanges is what makes the entries of a device those of a plan. Forwards and Neighbours are set, in this order, before routes are
// added: a gateway whose node has another address by now then leads to the new one at once. The others are deleted after the routes.
type EntryChanges struct {
	Forwards       []Forward
	Neighbours     []Neighbour
	GoneNeighbours []Neighbour
	GoneForwards   []Forward
}

// CompareEntries compares the entries of a planned device with the installed ones of this program. Those that a route needs which stays
// for now are not gone, also if the plan does not have them.
func CompareEntries(want, have Entries, stay []Route) (c EntryChanges) {
	gateways, macs := map[netip.Addr]bool{}, map[MAC]bool{}
	for _, r := range stay {
		gateways[r.Via] = true
	}
	there := set(have.Neighbours)
	for _, n := range want.Neighbours {
		gateways[n.Addr] = true
		if !there[n] {
			c.Neighbours = append(c.Neighbours, n)
		}
	}
	for _, n := range have.Neighbours {
		if gateways[n.Addr] {
			macs[n.MAC] = true
		} else {
			c.GoneNeighbours = append(c.GoneNeighbours, n)
		}
	}
	forwards := set(have.Forwards)
	for _, f := range want.Forwards {
		macs[f.MAC] = true
		if !forwards[f] {
			c.Forwards = append(c.Forwards, f)
		}
	}
	for _, f := range have.Forwards {
		if !macs[f.MAC] {
			c.GoneForwards = append(c.GoneForwards, f)
		}
	}
	return c
}

func set[T comparable](all []T) map[T]bool {
	found := make(map[T]bool, len(all))
	for _, one := range all {
		found[one] = true
	}
	return found
}
