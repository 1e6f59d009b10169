package attach

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// collection is the state of one GC.
type collection struct {
	host    *link.Host
	aliases *liveness.Aliases
	cfg     *config.GC
	dirs    store.Dirs
	started time.Time
	clock   time.Time // the same, by the coarse clock that the kernel uses for file times
	asked   *Request
}

// candidate is an attachment that is not listed as valid and of which a record, an interface, an element or an address exists.
type candidate struct {
	key      store.Key
	recorded bool         // has a record, readable or not
	addrs    []netip.Addr // without a record: from the address files
}

// search finds candidates by record, host interface, nftables element and address file, in this order.
// pkg/inventory lacks the address files without a record, and stops at the first source that cannot be read; GC continues.
type search struct {
	*collection
	machine string
	valid   map[store.Key]bool
	known   map[string]bool // marks of attachments that are valid or have a record: their aliases need no parsing
	found   map[store.Key]*candidate
}

// candidates returns the candidates of the network, sorted by key. If a source cannot be read, it returns those of the other sources
// with the error.
func (c *collection) candidates() ([]*candidate, error) {
	s := &search{
		collection: c, machine: identity.MachineID(),
		valid: map[store.Key]bool{}, known: map[string]bool{}, found: map[store.Key]*candidate{},
	}
	for _, a := range c.cfg.Valid {
		key := store.Key{Network: c.cfg.Name, ContainerID: a.ContainerID, IfName: a.IfName}
		s.valid[key] = true
		s.known[identity.On(s.machine, key).Mark] = true
	}
	err := errors.Join(s.byRecord(), s.byInterface(), s.byElement(), s.byAddress())
	all := make([]*candidate, 0, len(s.found))
	for _, one := range s.found {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *candidate) int { return strings.Compare(a.key.String(), b.key.String()) })
	return all, err
}

// add returns the candidate of a key, nil if the attachment is valid.
func (s *search) add(key store.Key) *candidate {
	if s.valid[key] {
		return nil
	}
	if s.found[key] == nil {
		s.found[key] = &candidate{key: key}
	}
	return s.found[key]
}

// byRecord adds the records of the network.
func (s *search) byRecord() error {
	entries, err := store.ListNetwork(s.dirs.State, s.cfg.Name)
	for _, e := range entries {
		s.known[identity.On(s.machine, e.Key).Mark] = true
		if e.Record != nil && e.Record.Alias != "" { // its mark is of another machine-id if that has changed
			s.known[identity.MarkOf(e.Record.Alias)] = true
		}
		if one := s.add(e.Key); one != nil {
			one.recorded = true
		}
	}
	return err
}

// byInterface adds host interfaces without a record. It examines all veth interfaces, because one may no longer be a bridge port.
func (s *search) byInterface() error {
	if s.cfg.CalledAsIPAM() {
		return nil // another main plugin made these interfaces
	}
	veths, err := s.host.Veths()
	for _, l := range veths {
		mark, words, _ := strings.Cut(l.Alias, " ")
		if s.known[mark] || identity.MarkOf(mark) == "" || !ofNetwork(words, s.cfg.Name) {
			continue
		}
		key, exact := s.keyOfAlias(l, words)
		if !exact {
			report.Warn("link %s has no record, and its alias %q does not identify its owner; leaving it", l.Name, l.Alias)
			continue
		}
		s.add(key)
	}
	return err
}

// ofNetwork reports whether an alias, after its mark, may name an attachment that a runtime made to this network. The kernel limits
// aliases to 255 bytes, so the text may be cut anywhere; the aliases of other owners have another form.
func ofNetwork(words, network string) bool {
	return strings.HasPrefix(words, network+"/") || len(words) > 0 && strings.HasPrefix(network+"/", words)
}

// keyOfAlias parses the key in an alias. It is exact if the same alias follows from the key; the name of the interface is not compared,
// because it may have been renamed.
func (s *search) keyOfAlias(l *link.Link, words string) (store.Key, bool) {
	key, exact := s.keyOf(words)
	n := identity.On(s.machine, key)
	return key, exact && n.Alias == l.Alias
}

// keyOf parses the key after a mark. The caller compares the mark, a hash of the key, to detect a text that was cut.
func (s *search) keyOf(words string) (store.Key, bool) {
	key, owner, whole := store.ParseKey(words)
	return key, whole && owner == store.OwnerCNI && possible(key)
}

// byElement adds the owners of nftables elements that have neither record nor host interface.
func (s *search) byElement() error {
	if s.cfg.CalledAsIPAM() {
		return nil
	}
	owners, err := ruleset.Owners()
	for _, owner := range owners {
		mark, words, _ := strings.Cut(owner, " ")
		if s.known[mark] || !ofNetwork(words, s.cfg.Name) {
			continue
		}
		key, exact := s.keyOf(words)
		if !exact || identity.On(s.machine, key).Mark != mark {
			report.Warn("an element of nftables is marked %q, which does not identify its owner; leaving it", owner)
			continue
		}
		s.add(key)
	}
	return err
}

// byAddress adds the owners of address files.
func (s *search) byAddress() error {
	owners, err := store.AddressHolders(s.dirs, s.cfg.Name, s.clock)
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

// possible reports whether ADD accepts the key. Container ID and interface name become the name of a record file, so a key from an
// alias or an address file must not be used unchecked.
func possible(key store.Key) bool {
	return config.ValidName(key.ContainerID) && config.ValidateInterfaceName(key.IfName) == nil
}
