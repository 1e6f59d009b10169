package nft

import (
	"slices"
	"strings"
)

// allElements returns the elements of all entries, those that close bridges first. Of
// two entries that conflict, the one that owns the element in the existing table
// comes first: the ADD of the other one is still running and gets an error.
func (r *Ruleset) allElements(entries []Entry, isFirst bool) ([]element, error) {
	var want []element
	for _, e := range entries {
		want = append(want, e.shared()...)
	}
	for _, e := range entries {
		want = append(want, e.elements()...)
	}
	if isFirst {
		return closingFirst(want), nil
	}
	there, err := r.listWhole(names())
	had := map[element]bool{}
	for _, e := range there {
		had[e.ownership()] = true
	}
	var kept, other []element
	for _, e := range want {
		if e.comment == "" || had[e.ownership()] {
			kept = append(kept, e)
		} else {
			other = append(other, e)
		}
	}
	return closingFirst(append(kept, other...)), err
}

// closingFirst sorts the elements that close something for one attachment behind those
// that close bridges. A table of many elements is built by several transactions, and
// what the first ones lack is open until the last one.
func closingFirst(all []element) []element {
	rank := func(e element) int {
		switch {
		case e.comment == "":
			return 0
		case e.set == portsApart, strings.HasPrefix(e.set, egressChain):
			return 1
		}
		return 2
	}
	slices.SortStableFunc(all, func(a, b element) int { return rank(a) - rank(b) })
	return all
}

// ownership returns the element reduced to what it is about and who owns it.
func (e element) ownership() element {
	return element{set: e.set, key: e.key, comment: ownerID(e.comment)}
}
