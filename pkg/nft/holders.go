package nft

// wantedBy are the elements of all entries, those that close bridges to others first. Of one that two want the owner's comes first who has it
// in the table that is there: the other one is on its way, and has yet to be told.
func (r *Ruleset) wantedBy(entries []Entry, isFirst bool) ([]element, error) {
	var wanted []element
	for _, e := range entries {
		wanted = append(wanted, e.shared()...)
	}
	for _, e := range entries {
		wanted = append(wanted, e.elements()...)
	}
	if isFirst {
		return wanted, nil
	}
	there, err := r.listWhole(names())
	had := map[element]bool{}
	for _, e := range there {
		had[e.held()] = true
	}
	var kept, other []element
	for _, e := range wanted {
		if e.comment == "" || had[e.held()] {
			kept = append(kept, e)
		} else {
			other = append(other, e)
		}
	}
	return append(kept, other...), err
}

// held is what an element says of who has what.
func (e element) held() element { return element{set: e.set, key: e.key, comment: mark(e.comment)} }
