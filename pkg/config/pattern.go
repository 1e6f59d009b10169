package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Patterns are the part of Go's regular expressions (package regexp) that lists of names use. The package
// itself is not linked: every exec would pay for its tables, about 40 page faults, also those without a
// list. TestPattern compares the two.

// pattern is a node of a parsed pattern.
type pattern interface {
	// compile appends the instructions of the node to a program.
	compile(p *program)
}

type (
	oneByte     [256]bool // a literal, ., or a class
	sequence    []pattern // one after the other
	alternative []pattern // one of them
	anchor      struct{ atEnd bool }
	repeat      struct {
		what     pattern
		min, max int // max -1: any number
	}
)

// patternParser parses a pattern by recursive descent.
type patternParser struct {
	rest  string
	depth int
}

// Limits of a pattern; package regexp has the same for repetitions.
const (
	maxPattern     = 1024 // bytes
	maxRepetitions = 1000
	maxDepth       = 50
)

var (
	errUnsupported = errors.New("not supported")
	errUnbalanced  = errors.New("parenthesis or bracket without its counterpart")
	errNoOperand   = errors.New("nothing to repeat")
	errTooComplex  = errors.New("too long, or nested too deep")
)

// parsePattern returns the program of a pattern.
func parsePattern(text string) (*program, error) {
	if len(text) > maxPattern {
		return nil, errTooComplex
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r > '~' }) {
		return nil, fmt.Errorf("character beyond ASCII: %w", errUnsupported)
	}
	p := &patternParser{rest: text}
	root, err := p.alternatives()
	if err == nil && p.rest != "" {
		err = errUnbalanced
	}
	if err != nil {
		return nil, err
	}
	return compilePattern(root)
}

// next removes a prefix, and reports whether it was there.
func (p *patternParser) next(prefix string) (found bool) {
	p.rest, found = strings.CutPrefix(p.rest, prefix)
	return found
}

func (p *patternParser) alternatives() (pattern, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errTooComplex
	}
	defer func() { p.depth-- }()
	var all alternative
	for {
		one, err := p.sequence()
		if err != nil {
			return nil, err
		}
		all = append(all, one)
		if !p.next("|") {
			return all, nil
		}
	}
}

func (p *patternParser) sequence() (all sequence, err error) {
	for p.rest != "" && p.rest[0] != '|' && p.rest[0] != ')' {
		one, err := p.atom()
		if err != nil {
			return nil, err
		}
		if one, err = p.repeated(one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// atom parses what a repetition applies to.
func (p *patternParser) atom() (pattern, error) {
	c := p.rest[0]
	p.rest = p.rest[1:]
	switch c {
	case '^':
		return anchor{}, nil
	case '$':
		return anchor{atEnd: true}, nil
	case '*', '+', '?':
		return nil, errNoOperand
	case '(':
		if !p.next("?:") && strings.HasPrefix(p.rest, "?") {
			return nil, fmt.Errorf("group that begins with (?: %w", errUnsupported)
		}
		inner, err := p.alternatives()
		if err == nil && !p.next(")") {
			err = errUnbalanced
		}
		return inner, err
	case '[':
		return p.class()
	case '\\':
		return p.escape()
	case '.':
		dot := &oneByte{}
		for i := range dot {
			dot[i] = i != '\n'
		}
		return dot, nil
	}
	literal := &oneByte{}
	literal[c] = true
	return literal, nil
}

// repeated parses the repetition of an atom, if there is one.
func (p *patternParser) repeated(what pattern) (pattern, error) {
	r := repeat{what: what, max: -1}
	switch {
	case p.next("*"):
	case p.next("+"):
		r.min = 1
	case p.next("?"):
		r.max = 1
	default:
		found, err := p.counts(&r)
		if err != nil || !found {
			return what, err
		}
	}
	p.next("?") // not greedy, which does not change whether something matches
	if strings.HasPrefix(p.rest, "*") || strings.HasPrefix(p.rest, "+") || strings.HasPrefix(p.rest, "?") {
		return nil, fmt.Errorf("repetition of a repetition: %w", errUnsupported)
	}
	return r, nil
}

// counts parses {n}, {n,} or {n,m}. Any other text after a brace is literal.
func (p *patternParser) counts(r *repeat) (found bool, err error) {
	inner, rest, closed := strings.Cut(strings.TrimPrefix(p.rest, "{"), "}")
	if !strings.HasPrefix(p.rest, "{") || !closed {
		return false, nil
	}
	from, to, isRange := strings.Cut(inner, ",")
	low, err1 := strconv.ParseUint(from, 10, 31)
	high, err2 := low, error(nil)
	switch {
	case isRange && to == "":
		r.max = -1
	case isRange:
		high, err2 = strconv.ParseUint(to, 10, 31)
		r.max = int(high)
	default:
		r.max = int(low)
	}
	if err1 != nil || err2 != nil {
		return false, nil
	}
	if low > maxRepetitions || high > maxRepetitions || high < low {
		return false, errTooComplex
	}
	r.min, p.rest = int(low), rest
	return true, nil
}
