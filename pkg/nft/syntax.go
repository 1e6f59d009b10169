package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// errSyntax is about an expression that statement does not know. Rules of this
// package have none: TestScript prints all of them.
var errSyntax = errors.New("no syntax of nft(8) known")

// statement returns the expressions of a rule as nft(8) lists them. It knows those
// that this package uses; sets has the elements of anonymous sets by name.
func statement(exprs []expr.Any, sets map[string]string) (string, error) {
	p := &printer{sets: sets}
	for _, e := range exprs {
		if err := p.print(e); err != nil {
			return "", err
		}
	}
	p.settle()
	return strings.Join(p.words, " "), nil
}

// printer is the state between two expressions of a rule.
type printer struct {
	words []string
	sets  map[string]string

	loads  []loaded // values in registers that no expression has used yet
	family *depends // `meta nfproto ipv4` and the like, until a match implies it
	link   uint16   // the protocol above the link layer that the rule has compared, ETH_P_*
	proto  byte     // the transport protocol that the rule has compared; 0 for none
	mask   []byte   // of a bitwise expression
	xor    []byte
	nat    netip.Addr // of an immediate expression
	target string     // `KEY map @set`, of a lookup into a register
}

// depends is a comparison of a protocol that nft(8) leaves out of a listing if a later
// match of the rule implies it. at is its place in the rule.
type depends struct {
	text string
	at   int
}

// loaded is a value, and the number of the 4 bytes of registers at which it begins.
type loaded struct {
	word uint32
	text string
	from expr.Any
}

// wordOf returns the number of the first word of a register: 1 to 4 are four words each.
func wordOf(register uint32) uint32 {
	if register >= unix.NFT_REG32_00 {
		return register - unix.NFT_REG32_00
	}
	return (register - 1) * 4
}

// say appends words.
func (p *printer) say(words ...string) { p.words = append(p.words, words...) }

// settle inserts a comparison that no match has implied.
func (p *printer) settle() {
	if p.family != nil {
		p.words = slices.Insert(p.words, p.family.at, p.family.text)
	}
	p.family = nil
}

// print prints one expression, or keeps it for the next ones.
func (p *printer) print(e expr.Any) error {
	switch e := e.(type) {
	case *expr.Meta:
		return p.meta(e)
	case *expr.Payload:
		return p.load(e.DestRegister, p.payload(e), e)
	case *expr.Ct:
		return p.load(e.Register, map[expr.CtKey]string{expr.CtKeySTATE: "ct state", expr.CtKeySTATUS: "ct status", expr.CtKeyDIRECTION: "ct direction"}[e.Key], e)
	case *expr.Fib:
		return p.load(e.Register, "fib daddr type", e)
	case *expr.Bitwise:
		p.mask, p.xor = e.Mask, e.Xor
	case *expr.Cmp:
		return p.compare(e)
	case *expr.Lookup:
		p.lookup(e)
	case *expr.Immediate:
		p.nat, _ = netip.AddrFromSlice(e.Data)
	case *expr.NAT:
		return p.translate(e)
	case *expr.Masq:
		p.say("masquerade")
		p.fullyRandom(e.FullyRandom)
	case *expr.Verdict:
		return p.verdict(e)
	default:
		return fmt.Errorf("%w: %T", errSyntax, e)
	}
	return nil
}

// load notes a value in a register.
func (p *printer) load(register uint32, text string, from expr.Any) error {
	if text == "" {
		return fmt.Errorf("%w: %#v", errSyntax, from)
	}
	p.loads = append(p.loads, loaded{wordOf(register), text, from})
	return nil
}

// meta loads or sets a property of the packet.
func (p *printer) meta(e *expr.Meta) error {
	if e.SourceRegister { // setMark is the only one
		mask, xor := binary.NativeEndian.Uint32(p.mask), binary.NativeEndian.Uint32(p.xor)
		change := fmt.Sprintf("& 0x%08x", mask)
		if xor != 0 {
			change = fmt.Sprintf("| 0x%08x", xor)
		}
		p.say("meta mark set meta mark", change)
		p.loads, p.mask = nil, nil
		return nil
	}
	return p.load(e.Register, map[expr.MetaKey]string{
		expr.MetaKeyNFPROTO: "meta nfproto", expr.MetaKeyPROTOCOL: "meta protocol", expr.MetaKeyL4PROTO: "meta l4proto",
		expr.MetaKeyIIFNAME: "iifname", expr.MetaKeyOIFNAME: "oifname", expr.MetaKeyMARK: "meta mark",
	}[e.Key], e)
}

// key returns the loaded values as a key, and forgets them.
func (p *printer) key() string {
	slices.SortFunc(p.loads, func(a, b loaded) int { return int(a.word) - int(b.word) })
	var parts []string
	for _, l := range p.loads {
		parts = append(parts, l.text)
	}
	p.loads = nil
	return strings.Join(parts, " . ")
}

// lookup is a key that a set must have, or that a map has a verdict or a target for.
func (p *printer) lookup(e *expr.Lookup) {
	key := p.key()
	switch elements, anonymous := p.sets[e.SetName]; {
	case e.IsDestRegSet && e.DestRegister == unix.NFT_REG_VERDICT:
		p.say(key, "vmap @"+e.SetName)
	case e.IsDestRegSet:
		p.target = key + " map @" + e.SetName
	case anonymous:
		p.say(key, elements)
	case e.Invert:
		p.say(key, "!= @"+e.SetName)
	default:
		p.say(key, "@"+e.SetName)
	}
}

// translate is `snat` or `dnat`.
func (p *printer) translate(e *expr.NAT) error {
	kind, family := "snat", "ip"
	if e.Type == expr.NATTypeDestNAT {
		kind = "dnat"
	}
	if e.Family == unix.NFPROTO_IPV6 {
		family = "ip6"
	}
	to := p.target
	if kind == "snat" {
		to = p.nat.String()
	}
	p.settle()
	p.say(kind, family, "to", to)
	p.fullyRandom(e.FullyRandom)
	return nil
}

func (p *printer) fullyRandom(is bool) {
	if is {
		p.say("fully-random")
	}
}

func (p *printer) verdict(e *expr.Verdict) error {
	words := map[expr.VerdictKind]string{
		expr.VerdictAccept: "accept", expr.VerdictDrop: "drop", expr.VerdictReturn: "return", expr.VerdictJump: "jump", expr.VerdictGoto: "goto",
	}
	word, known := words[e.Kind]
	if !known {
		return fmt.Errorf("%w: %#v", errSyntax, e)
	}
	p.say(word)
	if e.Chain != "" {
		p.say(e.Chain)
	}
	return nil
}
