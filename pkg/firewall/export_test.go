package firewall

import "golang.org/x/sys/unix"

// Evaluate evaluates a rule with any encoded expressions, and sets with any elements, for a packet of each
// kind, and returns the text of the rule.
func Evaluate(expressions, element []byte) string {
	r, err := ruleOf(attributes{values: map[uint16][]byte{unix.NFTA_RULE_EXPRESSIONS: expressions, unix.NFTA_RULE_USERDATA: element}})
	if err != nil {
		return err.Error()
	}
	said := r.text() + r.xtComment()
	in := place{family: unix.NFPROTO_INET, table: "t", name: "c"}
	s := set{keyLength: len(element) % 65, isInterval: len(element)%2 == 0, members: []member{{key: element}, {key: element, end: element, isEnd: len(element)%3 == 0}, {isDefault: true}}}
	for what := Leaving; what <= Neighbours; what++ {
		for _, isIPv6 := range []bool{false, true} {
			v := &view{f: &Filters{}, rules: map[place][]rule{in: {r}}, sets: map[place]set{}}
			for _, e := range r.expressions {
				named := in
				named.name = e.with.text(unix.NFTA_LOOKUP_SET)
				v.sets[named] = s
			}
			w := &traversal{view: v, packet: packet{what: what, isIPv6: isIPv6, iif: port{name: "cni0", isBridge: true}}, been: map[visit]outcome{}}
			if _, err := w.baseChain(chain{family: in.family, table: in.table, name: in.name, isDrop: isIPv6}); err != nil {
				said += err.Error()
			}
		}
	}
	return said
}

// EvaluateLegacy decodes any bytes as a table of iptables-legacy and evaluates packets.
func EvaluateLegacy(about, table []byte, isIPv6 bool) error {
	v := &view{f: &Filters{}, rules: map[place][]rule{}, sets: map[place]set{}}
	chains, err := legacy(isIPv6).chains(v, legacyTable{"filter", 0}, about, table)
	if err != nil {
		return err
	}
	b := Bridge{Name: "cni0", IPv4: !isIPv6, IPv6: isIPv6, Routed: true}
	_, err = evaluate(b, chains, v)
	return err
}

// ReadConsistently is readConsistently with the time limit of an exported method.
func ReadConsistently(f *Filters, read func() ([]Drop, error)) ([]Drop, error) {
	f.begin()
	return f.readConsistently(read)
}

// RequireMatch is requireMatches for one match of IPv4.
func RequireMatch(f *Filters, name string, revision uint32) error {
	f.begin()
	return f.requireMatches(unix.NFPROTO_IPV4, []extension{{name, revision}})
}
