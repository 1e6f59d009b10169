package nft

import (
	"errors"

	"github.com/google/nftables"
)

// Tables returns the names of the tables that Patchbay has built: "inet patchbay",
// "bridge patchbay". A table of that name without a version is an ErrForeign. Without
// nf_tables there is none.
func (r *Ruleset) Tables() (names []string, err error) {
	err = r.eachTable(func(t *nftables.Table, name string) { names = append(names, name) })
	return names, err
}

// DeleteTables deletes the tables that Patchbay has built, of any version, with all that
// is in them, in one transaction, and returns their names. If one of them is foreign,
// nothing is changed, and the error wraps ErrForeign. The caller holds the builders' lock.
func (r *Ruleset) DeleteTables() (deleted []string, err error) {
	c, err := r.begin()
	if err != nil {
		return nil, err
	}
	err = r.eachTable(func(t *nftables.Table, name string) {
		c.AddTable(t) // so that deleting it is no error if it disappeared meanwhile
		c.DelTable(t)
		deleted = append(deleted, name)
	})
	if err == nil && len(deleted) > 0 {
		err = c.flush()
	}
	if err != nil {
		return nil, err
	}
	return deleted, nil
}

// eachTable calls do for each table that Patchbay has built.
func (r *Ruleset) eachTable(do func(t *nftables.Table, name string)) error {
	tables := map[tableFamily]*nftables.Table{familyInet: table(), familyBridge: bridgeTable()}
	for _, family := range []tableFamily{familyInet, familyBridge} {
		t := tables[family]
		version, err := r.builtIn(family)
		if errors.Is(err, ErrUnsupported) {
			continue
		}
		if err != nil {
			return err
		}
		if version != 0 {
			do(t, family.String()+" "+t.Name)
		}
	}
	return nil
}
