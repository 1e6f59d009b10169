package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
)

// builder takes the objects of a table: *nftables.Conn encodes them for the kernel,
// and *script writes them in the syntax of nft(8). The rules are written down once.
type builder interface {
	AddChain(c *nftables.Chain) *nftables.Chain
	AddRule(r *nftables.Rule) *nftables.Rule
	AddSet(s *nftables.Set, elements []nftables.SetElement) error
	FlushChain(c *nftables.Chain)
}

// Script is what Publish and Build add for an entry, in the syntax of nft(8), for
// nft -f. A part that the host has is "".
type Script struct {
	Tables   string // the tables with what is the same on every host
	Chains   string // of the entry's network
	Elements string // of the entry, and of its bridge
}

// ErrName is about a name that nft(8) has no syntax for.
var ErrName = errors.New("nft(8) has no syntax for the name")

// ScriptOf returns the script for a host without the tables.
func ScriptOf(e Entry) (Script, error) {
	return scriptOf(e, func(tableFamily, string) bool { return false })
}

// Script compares the entry with the ruleset, and changes nothing. The error is that
// of Publish and Build for a table that they do not change, and wraps ErrNotBuilt for
// one of an older version, which Build replaces with the elements of all attachments.
func (r *Ruleset) Script(e Entry) (Script, error) {
	has := map[tableFamily][]string{}
	for _, family := range []tableFamily{familyInet, familyBridge} {
		built, err := r.builtIn(family)
		switch {
		case family == familyBridge && !e.onBridge():
			continue
		case err != nil:
			return Script{}, err
		case built > Schema():
			return Script{}, tooNew(built)
		case built != 0 && built != Schema():
			return Script{}, fmt.Errorf("table %s %s of nftables has version %d, and the next ADD builds version %d anew for all attachments: %w", family, tableName, built, Schema(), ErrNotBuilt)
		case built == 0:
			continue
		}
		if has[family], err = r.chains(family); err != nil {
			return Script{}, err
		}
	}
	return scriptOf(e, func(f tableFamily, chain string) bool { return slices.Contains(has[f], chain) })
}

// scriptOf returns the script for a host that has some chains.
func scriptOf(e Entry, has func(tableFamily, string) bool) (s Script, err error) {
	schema := schemaChain + strconv.Itoa(Schema())
	tables, chains := &script{}, &script{}
	for _, t := range []*nftables.Table{table(), bridgeTable()} {
		family := tableFamily(t.Family)
		if has(family, schema) || family == familyBridge && !e.onBridge() {
			continue
		}
		if err := skeleton(tables, t, schema); err != nil {
			return s, err
		}
	}
	chains.has = has
	if len(e.Addresses) > 0 {
		networkChains(chains, table(), e)
	}
	if e.marks() && !has(familyInet, e.marking()) {
		markingChain(chains, table(), e)
	}
	if err := egressChains(chains, e); err != nil {
		return s, err
	}
	if s.Elements, err = elementScript(e); err != nil {
		return s, err
	}
	s.Tables, s.Chains = tables.String(), chains.String()
	return s, errors.Join(tables.err, chains.err)
}

// script writes the objects of tables.
type script struct {
	has    func(tableFamily, string) bool // chains that exist are left out; nil for none
	tables []*tableScript
	sets   map[string]string // the elements of anonymous sets
	err    error
}

// tableScript is the text of one table: sets, then chains with their rules.
type tableScript struct {
	family tableFamily
	sets   []string
	chains []*chainScript
}

type chainScript struct {
	name, head string
	rules      []string
}

func (s *script) table(t *nftables.Table) *tableScript {
	family := tableFamily(t.Family)
	for _, known := range s.tables {
		if known.family == family {
			return known
		}
	}
	s.tables = append(s.tables, &tableScript{family: family})
	return s.tables[len(s.tables)-1]
}

// AddChain writes a chain.
func (s *script) AddChain(c *nftables.Chain) *nftables.Chain {
	head := ""
	if c.Hooknum != nil {
		head = fmt.Sprintf("type %s hook %s priority %d; policy accept;", c.Type, hookName(*c.Hooknum), *c.Priority)
	}
	s.chain(c).head = head
	return c
}

// hookName returns the name of a hook, whose numbers are the same in both families.
func hookName(hook nftables.ChainHook) string {
	return []string{"prerouting", "input", "forward", "output", "postrouting"}[hook]
}

// chain returns a chain of a table, which may be one of the skeleton that gets a rule.
func (s *script) chain(c *nftables.Chain) *chainScript {
	t := s.table(c.Table)
	i := slices.IndexFunc(t.chains, func(known *chainScript) bool { return known.name == c.Name })
	if i < 0 {
		t.chains, i = append(t.chains, &chainScript{name: c.Name}), len(t.chains)
	}
	return t.chains[i]
}

// FlushChain does nothing: a chain that exists is left out.
func (s *script) FlushChain(*nftables.Chain) {}

// AddSet writes a set, or keeps the elements of an anonymous one for the rule that looks them up.
func (s *script) AddSet(set *nftables.Set, elements []nftables.SetElement) error {
	if !set.Anonymous {
		spec := setSpecOf(set.Name)
		t := s.table(set.Table)
		t.sets = append(t.sets, spec.script())
		return nil
	}
	if s.sets == nil {
		s.sets = map[string]string{}
	}
	set.Name = "__set" + strconv.Itoa(len(s.sets))
	s.sets[set.Name] = "{ " + strings.Join(destinationsOf(elements, set.Interval), ", ") + " }"
	return nil
}

// destinationsOf is the reverse of setElements: addresses, prefixes, and intervals that are no prefix.
func destinationsOf(elements []nftables.SetElement, intervals bool) (all []string) {
	for i, e := range elements {
		first, _ := netip.AddrFromSlice(e.Key)
		switch {
		case e.IntervalEnd:
		case !intervals:
			all = append(all, first.String())
		default:
			last := lastOf(netip.PrefixFrom(first, 0)) // without an end, that of the family
			if i+1 < len(elements) && elements[i+1].IntervalEnd {
				end, _ := netip.AddrFromSlice(elements[i+1].Key)
				last = end.Prev()
			}
			all = append(all, intervalText(first, last))
		}
	}
	return all
}

// AddRule writes a rule.
func (s *script) AddRule(r *nftables.Rule) *nftables.Rule {
	text, err := statement(r.Exprs, s.sets)
	s.err = errors.Join(s.err, err)
	if comment, has := userdata.GetString(r.UserData, userdata.TypeComment); has {
		text += ` comment "` + comment + `"`
	}
	c := s.chain(r.Chain)
	c.rules = append(c.rules, text)
	return r
}

// String returns the tables for nft -f.
func (s *script) String() string {
	var b strings.Builder
	for _, t := range s.tables {
		chains := slices.DeleteFunc(slices.Clone(t.chains), func(c *chainScript) bool { return s.has != nil && c.name != markedChain && s.has(t.family, c.name) })
		if len(t.sets)+len(chains) == 0 {
			continue
		}
		fmt.Fprintf(&b, "table %s %s {\n", t.family, tableName)
		for _, set := range t.sets {
			fmt.Fprintf(&b, "\t%s\n", set)
		}
		for _, c := range chains {
			c.write(&b)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func (c *chainScript) write(b *strings.Builder) {
	fmt.Fprintf(b, "\tchain %s {\n", c.name)
	for _, line := range slices.Concat([]string{c.head}, c.rules) {
		if line != "" {
			fmt.Fprintf(b, "\t\t%s\n", line)
		}
	}
	b.WriteString("\t}\n")
}

// script returns the declaration of a set or a map.
func (s setSpec) script() string {
	kind, target := "set", ""
	switch s.data {
	case jumpData, gotoData:
		kind, target = "map", " : verdict"
	case targetData:
		kind, target = "map", " : ipv6_addr . inet_service"
		if s.is4() {
			target = " : ipv4_addr . inet_service"
		}
	}
	if s.name == ownTarget6 {
		return fmt.Sprintf("set %s { typeof iifname . @nh,%d,128; }", s.name, 8*ndTarget)
	}
	var types []string
	for _, f := range s.key {
		types = append(types, f.datatype().Name)
	}
	return fmt.Sprintf("%s %s { type %s%s; }", kind, s.name, strings.Join(types, " . "), target)
}

// elementScript returns the elements of an entry: those of its bridge may exist, its own must not.
func elementScript(e Entry) (string, error) {
	shared, err := elementCommands("add", e.shared(), element.script)
	if err != nil {
		return "", err
	}
	own, err := elementCommands("create", e.elements(), element.script)
	return shared + own, err
}

// WithdrawScript returns what Withdraw removes of an entry, in the syntax of nft(8); "" for nothing. It changes nothing.
func (r *Ruleset) WithdrawScript(e Entry) (string, error) {
	there, err := r.find(e.elements())
	if nfnl.IsUnsupported(err) {
		return "", nil // without nf_tables there are no elements
	}
	if err != nil {
		return "", err
	}
	return elementCommands("delete", bySet(owned(there, e.Owner)), element.scriptKey)
}

// elementCommands returns a command for the elements of each set.
func elementCommands(verb string, rest []element, write func(element) (string, error)) (string, error) {
	var b strings.Builder
	for len(rest) > 0 {
		set, texts := rest[0].set, []string{}
		for len(rest) > 0 && rest[0].set == set {
			text, err := write(rest[0])
			if err != nil {
				return "", err
			}
			texts, rest = append(texts, text), rest[1:]
		}
		fmt.Fprintf(&b, "%s element %s %s %s { %s }\n", verb, setSpecOf(set).family(), tableName, set, strings.Join(texts, ", "))
	}
	return b.String(), nil
}

// scriptKey returns the key of an element. In quotes nft(8) has no escapes, and takes an asterisk at the end of an interface name for any
// characters.
func (e element) scriptKey() (string, error) {
	var key []string
	rest := e.key
	for _, f := range setSpecOf(e.set).key {
		text := f.text(rest[:f.size()])
		switch {
		case f == fieldTarget6: // an integer for nft(8)
			text = fmt.Sprintf("0x%x", []byte(rest[:f.size()]))
		case f == fieldIfname && strings.ContainsAny(text, "\"\\*\n\t"):
			return "", fmt.Errorf("%w: interface %q", ErrName, text)
		case f == fieldIfname:
			text = `"` + text + `"`
		}
		key, rest = append(key, text), rest[f.size():]
	}
	return strings.Join(key, " . "), nil
}

// script returns an element with its comment and its data.
func (e element) script() (string, error) {
	text, err := e.scriptKey()
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(e.comment, "\"\\\n") {
		return "", fmt.Errorf("%w: %q", ErrName, e.comment)
	}
	if e.comment != "" {
		text += ` comment "` + e.comment + `"`
	}
	switch setSpecOf(e.set).data {
	case jumpData:
		text += " : jump " + e.chain
	case gotoData:
		text += " : goto " + e.chain
	case targetData:
		size := len(e.target) - 4
		text += " : " + fieldOf(size).text(e.target[:size]) + " . " + fieldPort.text(e.target[size:])
	}
	return text, nil
}

// fieldOf returns the type of an address of a length in bytes.
func fieldOf(size int) field {
	if size == fieldIPv4.size() {
		return fieldIPv4
	}
	return fieldIPv6
}
