package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Look is the ruleset as it was at one moment: every element and how many rules each chain has, for
// who judges many attachments and would else ask for each of them alone.
type Look struct {
	built    int
	told     error // why the table is none that could be looked into: ErrForeign, ErrUnsupported
	elements map[string]element
	rules    map[string]int // of the table inet, by chain
	bridge   int            // of the chain forward of the table bridge
}

// Look looks once, and again as long as somebody changes the ruleset meanwhile. It changes nothing.
// A table that is not there, or not ours, is no error: of that Missing tells.
func (r *Ruleset) Look() (*Look, error) {
	const looks = 10
	for look := 1; ; look++ {
		var l *Look
		steady, err := r.steady(func() (err error) {
			l, err = r.look()
			return err
		})
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
			return &Look{told: ErrUnsupported}, nil
		}
		if err != nil || steady || look == looks {
			return l, err
		}
	}
}

func (r *Ruleset) look() (*Look, error) {
	l := &Look{elements: map[string]element{}, rules: map[string]int{}}
	built, err := r.built()
	if errors.Is(err, ErrForeign) || errors.Is(err, ErrUnsupported) {
		l.told = err
		return l, nil
	}
	if l.built = built; err != nil || built == 0 {
		return l, err
	}
	all, err := r.list(names())
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		l.elements[e.set+" "+e.key] = e
	}
	if l.rules, err = r.rulesOf(header()); err != nil {
		return nil, err
	}
	bridge, err := r.rulesOf(bridgeHeader())
	l.bridge = bridge["forward"]
	return l, err
}

// Missing is Ruleset.Missing as of the look.
func (l *Look) Missing(e Entry) []string {
	switch {
	case l.told != nil:
		return []string{l.told.Error()}
	case l.built == 0:
		return []string{tableGone(e)}
	case l.built > Schema():
		return nil // a newer patchbay's, whose form this one cannot judge
	}
	lost := lostElements(append(e.elements(), e.shared()...), l.elements, l.built == Schema())
	if len(lost) > 0 || l.built < Schema() {
		return lost
	}
	lost = lostRules(e.rules(), l.rules)
	if e.Isolation == Isolated {
		lost = append(lost, lostBridgeRules(l.bridge)...)
	}
	return lost
}

// Published is a port as the ruleset has it.
type Published struct {
	Port
	Owner string // the comment of the element: mark and key
}

// Published are the ports of all attachments, also of those that nothing else tells of; in no order.
func (l *Look) Published() []Published {
	var all []Published
	for _, e := range l.elements {
		if p, whole := publishedPort(e); whole {
			all = append(all, Published{p, e.comment})
		}
	}
	return all
}

// Leads reports whether a port leads where it should, for an owner: a comment, or its first word.
func (l *Look) Leads(p Port, owner string) bool {
	want := p.element("publish")
	has, there := l.elements[want.set+" "+want.key]
	return there && mark(has.comment) == mark(owner) && has.target == p.target()
}

// publishedPort reads an element of a map of published ports; false for any other.
func publishedPort(e element) (p Port, whole bool) {
	if !strings.HasPrefix(e.set, "publish") {
		return Port{}, false
	}
	s := shapeOf(e.set)
	key := e.key
	if s.key[0] != fieldProto {
		addr, rest, found := cutKey(e)
		if !found {
			return Port{}, false
		}
		p.HostIP, _ = netip.AddrFromSlice([]byte(addr))
		key = rest
	}
	size := fieldIPv6.size()
	if s.is4() {
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

func portOf(data string) uint16 { return uint16(data[0])<<8 | uint16(data[1]) }

// rulesOf counts the rules of each chain of our table in a family; none where that is not there.
func (r *Ruleset) rulesOf(of []byte) (map[string]int, error) {
	rules, err := r.listRules(of, map[uint16]string{unix.NFTA_RULE_TABLE: tableName})
	count := map[string]int{}
	for _, rule := range rules {
		err = errors.Join(err, eachAttribute(rule.Data[min(len(rule.Data), len(header())):], func(ad *netlink.AttributeDecoder) {
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

func tableGone(e Entry) string {
	return fmt.Sprintf("table inet %s of nftables is gone, and with it %s", tableName, e.serves())
}
