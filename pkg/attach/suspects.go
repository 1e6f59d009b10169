package attach

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// suspect is an attachment of which something is there, and which is not listed as valid.
type suspect struct {
	key      store.Key
	recorded bool         // has a record, readable or not
	addrs    []netip.Addr // of one without: what the address files say that it has
}

// search is for suspects, in this order: by record, by cable, by element of the ruleset, by address.
type search struct {
	*collection
	machine string
	valid   map[store.Key]bool
	known   map[string]bool // marks of what is valid or has a record: of what a cut alias need not tell
	found   map[store.Key]*suspect
}

// suspects are those of the network, in the order of their names. What cannot be looked at is in
// the error; the others are returned with it.
func (c *collection) suspects() ([]*suspect, error) {
	s := &search{
		collection: c, machine: machineID(),
		valid: map[store.Key]bool{}, known: map[string]bool{}, found: map[store.Key]*suspect{},
	}
	for _, a := range c.cfg.Valid {
		key := store.Key{Network: c.cfg.Name, ContainerID: a.ContainerID, IfName: a.IfName}
		s.valid[key] = true
		s.known[namesOn(s.machine, key).mark] = true
	}
	err := errors.Join(s.byRecord(), s.byCable(), s.byElement(), s.byAddress())
	all := make([]*suspect, 0, len(s.found))
	for _, one := range s.found {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *suspect) int { return strings.Compare(a.key.String(), b.key.String()) })
	return all, err
}

// add returns the suspect of a key; nil if it is valid.
func (s *search) add(key store.Key) *suspect {
	if s.valid[key] {
		return nil
	}
	if s.found[key] == nil {
		s.found[key] = &suspect{key: key}
	}
	return s.found[key]
}

func (s *search) byRecord() error {
	entries, err := store.ListNetwork(s.dirs.State, s.cfg.Name)
	for _, e := range entries {
		s.known[namesOn(s.machine, e.Key).mark] = true
		if e.Record != nil && e.Record.Alias != "" { // after the machine-id changed
			mark, _, _ := strings.Cut(e.Record.Alias, " ")
			s.known[mark] = true
		}
		if one := s.add(e.Key); one != nil {
			one.recorded = true
		}
	}
	return err
}

// byCable looks for cables without a record. One that has lost its bridge is one too, so all links
// of their type are looked at.
func (s *search) byCable() error {
	if s.cfg.Delegated() {
		return nil // the cables of these attachments are another plugin's
	}
	veths, err := s.host.Veths()
	for _, l := range veths {
		mark, words, _ := strings.Cut(l.Alias, " ")
		if s.known[mark] || !ourForm(l, mark) || !ofNetwork(words, s.cfg.Name) {
			continue
		}
		key, exact := s.keyOfCable(l, words)
		if !exact {
			warn("link %s has no record, and its alias %q does not tell whose it is; leaving it", l.Name, l.Alias)
			continue
		}
		s.add(key)
	}
	return err
}

// ourForm reports whether name and mark are of the form that names has.
func ourForm(l *link.Link, mark string) bool {
	return formed(l.Name, "veth", base32Digits, 11) && formed(mark, markPrefix, hexDigits, 12)
}

// formed reports whether a text is a prefix and so many of some digits.
func formed(text, prefix, digits string, count int) bool {
	rest, found := strings.CutPrefix(text, prefix)
	return found && len(rest) == count && strings.Trim(rest, digits) == ""
}

// ofNetwork reports whether the words of an alias are those of an attachment that a runtime made
// to this network. They may be cut off anywhere; those of other owners have another form.
func ofNetwork(words, network string) bool {
	return strings.HasPrefix(words, network+"/") || len(words) > 0 && strings.HasPrefix(network+"/", words)
}

// keyOfCable reads the key back from the words of an alias; it is exact if all names follow from
// it again.
func (s *search) keyOfCable(l *link.Link, words string) (store.Key, bool) {
	key, exact := s.keyOf(words)
	n := namesOn(s.machine, key)
	return key, exact && n.alias == l.Alias && n.hostLink == l.Name
}

// keyOf reads the key back from the words behind a mark. That they were not cut, the mark tells.
func (s *search) keyOf(words string) (store.Key, bool) {
	key, owner, whole := store.ParseKey(words)
	return key, whole && owner == store.OwnerCNI && possible(key)
}

// byElement looks for what is masqueraded of an attachment that has neither record nor cable.
func (s *search) byElement() error {
	if s.cfg.Delegated() {
		return nil
	}
	var owners []string
	err := withRules(func(rules *nft.Ruleset) (err error) {
		owners, err = rules.Owners()
		return err
	})
	for _, owner := range owners {
		mark, words, _ := strings.Cut(owner, " ")
		if s.known[mark] || !ofNetwork(words, s.cfg.Name) {
			continue
		}
		key, exact := s.keyOf(words)
		if !exact || namesOn(s.machine, key).mark != mark {
			warn("an element of nftables is marked %q, which does not tell whose it is; leaving it", owner)
			continue
		}
		s.add(key)
	}
	return ignore(err, nft.ErrUnsupported)
}

// byAddress looks for addresses without a record.
func (s *search) byAddress() error {
	owners, err := store.Owners(s.dirs, s.cfg.Name, s.clock)
	if err != nil {
		err = fmt.Errorf("look for addresses of network %s: %w", s.cfg.Name, err)
	}
	for key, addrs := range owners {
		if !possible(key) {
			continue
		}
		if one := s.add(key); one != nil {
			one.addrs = addrs
		}
	}
	return err
}

// possible reports whether an attachment of that key could have been made: nothing else may become
// the name of a record.
func possible(key store.Key) bool {
	return config.ValidName(key.ContainerID) && config.ValidateInterfaceName(key.IfName) == nil
}
