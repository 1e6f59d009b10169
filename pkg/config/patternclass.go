package config

import (
	"fmt"
	"strings"
)

// classNamed returns the members of the class that a backslash and a letter name.
func classNamed(letter byte) (members string, found bool) {
	const digits = "0123456789"
	switch letter {
	case 'd':
		return digits, true
	case 's':
		return "\t\n\f\r ", true
	case 'w':
		return digits + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_", true
	}
	return "", false
}

// escape parses what follows a backslash outside of brackets.
func (p *patternParser) escape() (pattern, error) {
	var members oneByte
	if err := p.escaped(&members); err != nil {
		return nil, err
	}
	return &members, nil
}

// escaped adds what follows a backslash to a class: a punctuation character is itself, a letter one of
// the classes \d \s \w, or in upper case all others.
func (p *patternParser) escaped(class *oneByte) error {
	if p.rest == "" {
		return fmt.Errorf("backslash at the end: %w", errUnsupported)
	}
	c := p.rest[0]
	p.rest = p.rest[1:]
	isAlphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	if !isAlphanumeric && c > ' ' && c != '_' {
		class[c] = true
		return nil
	}
	members, found := classNamed(c | 0x20)
	if !found || !isAlphanumeric {
		return fmt.Errorf(`\%c: %w`, c, errUnsupported)
	}
	others := c&0x20 == 0
	for i := range class {
		if strings.IndexByte(members, byte(i)) >= 0 != others {
			class[i] = true
		}
	}
	return nil
}

// class parses a class after its opening bracket.
func (p *patternParser) class() (pattern, error) {
	var members oneByte
	negated := p.next("^")
	for first := true; first || !p.next("]"); first = false {
		if p.rest == "" {
			return nil, errUnbalanced
		}
		if err := p.member(&members); err != nil {
			return nil, err
		}
	}
	if negated {
		for i := range members {
			members[i] = !members[i]
		}
	}
	return &members, nil
}

// member adds one character, one range or one escaped class to a class.
func (p *patternParser) member(class *oneByte) error {
	if strings.HasPrefix(p.rest, "[:") {
		return fmt.Errorf("class with a name: %w", errUnsupported)
	}
	low := p.rest[0]
	p.rest = p.rest[1:]
	if low == '\\' {
		return p.escaped(class)
	}
	class[low] = true
	if len(p.rest) < 2 || p.rest[0] != '-' || p.rest[1] == ']' {
		return nil
	}
	high := p.rest[1]
	if high == '\\' || high < low {
		return fmt.Errorf("range %c-%c: %w", low, high, errUnsupported)
	}
	p.rest = p.rest[2:]
	for c := int(low); c <= int(high); c++ {
		class[c] = true
	}
	return nil
}
