package nft

import (
	"net/netip"
	"slices"
)

// CheckPorts returns a *TakenError if another owner has one of the entry's ports,
// unless isStale is true of that owner's comment. It changes nothing and is for
// callers that refuse before they make a change; only Publish decides. A missing
// table or kernel support is no error.
func (r *Ruleset) CheckPorts(e Entry, isStale func(owner string) bool) error {
	var want []element
	for _, p := range e.Ports {
		want = append(want, p.element("publish"))
	}
	there, err := r.find(want)
	if err != nil {
		return err
	}
	overlapping, err := r.overlapsIn(e, r.list)
	if err != nil {
		return err
	}
	_, err = staleOwners(slices.Concat(there, overlapping), e, isStale)
	return err
}

// overlaps returns the elements of other owners that conflict with the entry's ports
// without having the same key: a port of one host address where the entry has the
// port of all addresses, or the other way round. bind(2) treats these as conflicts
// too (EADDRINUSE).
func (r *Ruleset) overlaps(e Entry) ([]element, error) { return r.overlapsIn(e, r.listWhole) }

// overlapsIn is overlaps with a function that lists sets.
func (r *Ruleset) overlapsIn(e Entry, list func(sets []string) ([]element, error)) ([]element, error) {
	var wildcards []element         // to be asked for, where this entry's ports are for one address
	ports := map[string]bool{}      // set and key of a port for any address
	listed := map[string]struct{}{} // sets to be looked through
	for _, p := range e.Ports {
		if p.HostIP.IsValid() {
			p.HostIP = netip.Addr{}
			wildcards = append(wildcards, p.element("publish"))
			continue
		}
		one := p.element("publish")
		ports[one.set+" "+one.key] = true
		listed[one.set+"_addr"] = struct{}{}
	}
	there, err := r.find(wildcards)
	if err != nil || len(ports) == 0 {
		return ofOthers(there, e), err
	}
	for set := range listed {
		all, err := list([]string{set})
		if err != nil {
			return nil, err
		}
		for _, found := range all {
			if _, port, whole := cutKey(found); whole && ports[set[:len(set)-len("_addr")]+" "+port] {
				there = append(there, found)
			}
		}
	}
	return ofOthers(there, e), nil
}

// cutKey splits the key of a port of one address into address and port.
func cutKey(e element) (addr, port string, whole bool) {
	size := setSpecOf(e.set).key[0].size()
	if len(e.key) < size {
		return "", "", false
	}
	return e.key[:size], e.key[size:], true
}

// ofOthers returns the elements whose owner is not the entry's.
func ofOthers(there []element, e Entry) []element {
	return slices.DeleteFunc(there, func(found element) bool { return ownerID(found.comment) == ownerID(e.Owner) })
}
