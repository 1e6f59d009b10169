package nft

import (
	"net/netip"
	"slices"
)

// Free looks for the owners of an entry's ports, and changes nothing: a *TakenError if one has a port
// that gone, which is given the comment of an element, does not know to be not there any more. It is
// for who wants to refuse before anything is done; only Publish decides. No table, or no nf_tables, is
// no error.
func (r *Ruleset) Free(e Entry, gone func(owner string) bool) error {
	var wanted []element
	for _, p := range e.Ports {
		wanted = append(wanted, p.element("publish"))
	}
	there, err := r.find(wanted)
	if err != nil {
		return err
	}
	overlapping, err := r.overlapsIn(e, r.list)
	if err != nil {
		return err
	}
	_, err = deadOf(slices.Concat(there, overlapping), e, gone)
	return err
}

// overlaps are the elements of other owners that want one of the entry's ports for one address
// where it is for any, or for any where it is for one.
func (r *Ruleset) overlaps(e Entry) ([]element, error) { return r.overlapsIn(e, r.listWhole) }

// overlapsIn is overlaps by a way to list sets.
func (r *Ruleset) overlapsIn(e Entry, list func(sets []string) ([]element, error)) ([]element, error) {
	var generals []element          // to be asked for, where this entry's ports are for one address
	wide := map[string]bool{}       // set and key of a port for any address
	listed := map[string]struct{}{} // sets to be looked through
	for _, p := range e.Ports {
		if p.HostIP.IsValid() {
			p.HostIP = netip.Addr{}
			generals = append(generals, p.element("publish"))
			continue
		}
		one := p.element("publish")
		wide[one.set+" "+one.key] = true
		listed[one.set+"_addr"] = struct{}{}
	}
	there, err := r.find(generals)
	if err != nil || len(wide) == 0 {
		return others(there, e), err
	}
	for set := range listed {
		all, err := list([]string{set})
		if err != nil {
			return nil, err
		}
		for _, found := range all {
			if _, port, whole := cutKey(found); whole && wide[set[:len(set)-len("_addr")]+" "+port] {
				there = append(there, found)
			}
		}
	}
	return others(there, e), nil
}

// cutKey takes the address off the key of a port that is of one address.
func cutKey(e element) (addr, port string, whole bool) {
	size := shapeOf(e.set).key[0].size()
	if len(e.key) < size {
		return "", "", false
	}
	return e.key[:size], e.key[size:], true
}

func others(there []element, e Entry) []element {
	return slices.DeleteFunc(there, func(found element) bool { return mark(found.comment) == mark(e.Owner) })
}
