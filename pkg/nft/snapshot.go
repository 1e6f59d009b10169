package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
)

// Snapshot is the ruleset at one moment: all elements, and the number of rules of
// each chain. It serves callers that compare many attachments, which would otherwise
// read the ruleset once for each.
type Snapshot struct {
	built    int
	unusable error // the table cannot be read: ErrForeign, ErrUnsupported
	elements map[string]element
	rules    map[string]int // of the table inet, by chain
	bridge   map[string]int // of the table bridge
}

// Snapshot reads both tables. It reads again while other programs change the ruleset,
// ten times at most. A table that does not exist or is not ours is no error:
// Snapshot.Missing reports it.
func (r *Ruleset) Snapshot() (*Snapshot, error) {
	var s *Snapshot
	_, err := r.unchanged(func() (err error) {
		s, err = r.readSnapshot()
		return err
	})
	if nfnl.IsUnsupported(err) {
		return &Snapshot{unusable: ErrUnsupported}, nil
	}
	return s, err
}

// readSnapshot reads both tables once.
func (r *Ruleset) readSnapshot() (*Snapshot, error) {
	s := &Snapshot{elements: map[string]element{}, rules: map[string]int{}}
	built, err := r.built()
	if errors.Is(err, ErrForeign) || errors.Is(err, ErrUnsupported) {
		s.unusable = err
		return s, nil
	}
	if s.built = built; err != nil || built == 0 {
		return s, err
	}
	all, err := r.list(names())
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		s.elements[e.set+" "+e.key] = e
	}
	if s.rules, err = r.rulesOf(familyInet); err != nil {
		return nil, err
	}
	s.bridge, err = r.rulesOf(familyBridge)
	return s, err
}

// Missing returns what Ruleset.Missing returns, for the ruleset of the snapshot.
func (s *Snapshot) Missing(e Entry) []string {
	switch {
	case s.unusable != nil:
		return []string{s.unusable.Error()}
	case s.built == 0:
		return []string{tableGone(e)}
	case s.built > Schema():
		return nil // this binary does not know the rules of a newer version
	}
	lost := lostElements(append(e.elements(), e.shared()...), s.elements, s.built == Schema())
	if len(lost) > 0 || s.built < Schema() {
		return lost
	}
	lost = lostRules(e.rules(), s.rules)
	if e.onBridge() {
		lost = append(lost, e.lostBridgeRules(s.bridge)...)
	}
	return lost
}

// Published is a published port as the ruleset has it.
type Published struct {
	Port
	Owner string // the comment of the element: ID and attachment
}

// Published returns the published ports of all attachments, in no particular order.
func (s *Snapshot) Published() []Published {
	var all []Published
	for _, e := range s.elements {
		if p, whole := publishedPort(e); whole {
			all = append(all, Published{p, e.comment})
		}
	}
	return all
}

// IsPublished reports whether a host port is published for an owner and leads to the
// right container port. Owner is the comment of an element, or its first word.
func (s *Snapshot) IsPublished(p Port, owner string) bool {
	want := p.element("publish")
	has, there := s.elements[want.set+" "+want.key]
	return there && ownerID(has.comment) == ownerID(owner) && has.target == p.target()
}

// publishedPort decodes an element of a map of published ports; false for any other
// element.
func publishedPort(e element) (p Port, whole bool) {
	if !strings.HasPrefix(e.set, "publish") {
		return Port{}, false
	}
	spec := setSpecOf(e.set)
	key := e.key
	if spec.key[0] != fieldProto {
		addr, rest, found := cutKey(e)
		if !found {
			return Port{}, false
		}
		p.HostIP, _ = netip.AddrFromSlice([]byte(addr))
		key = rest
	}
	size := fieldIPv6.size()
	if spec.is4() {
		size = fieldIPv4.size()
	}
	if len(key) != 8 || len(e.target) != size+4 {
		return Port{}, false
	}
	addr, _ := netip.AddrFromSlice([]byte(e.target[:size]))
	p.Proto, p.HostPort = key[0], portOf(key[4:])
	p.Container = netip.AddrPortFrom(addr, portOf(e.target[size:]))
	return p, true
}

// portOf decodes a port in network byte order.
func portOf(data string) uint16 { return uint16(data[0])<<8 | uint16(data[1]) }

// rulesOf counts the rules of each chain of our table in a family. It returns none if
// the table does not exist.
func (r *Ruleset) rulesOf(family tableFamily) (map[string]int, error) {
	rules, err := r.listRules(family, map[uint16]string{unix.NFTA_RULE_TABLE: tableName})
	count := map[string]int{}
	for _, rule := range rules {
		err = errors.Join(err, eachAttribute(nfnl.Attributes(rule), func(ad *netlink.AttributeDecoder) {
			if ad.Type() == unix.NFTA_RULE_CHAIN {
				count[ad.String()]++
			}
		}))
	}
	if err != nil {
		return nil, fmt.Errorf("list the rules of nftables: %w", err)
	}
	return count, nil
}

// tableGone returns the message for a missing table and what the entry had in it.
func tableGone(e Entry) string {
	return fmt.Sprintf("table inet %s of nftables is missing, and with it %s", tableName, e.describe())
}
