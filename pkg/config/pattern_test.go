package config

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// TestPattern compares patterns with package regexp: those that lists have, and each part of the syntax.
func TestPattern(t *testing.T) {
	texts := []string{
		"", "net.ipv4.conf.IFNAME.arp_filter", "net.ipv4.conf.IFNAME.arp_filter2", "xnet.ipv4.conf.IFNAME.arp_filter", "net/ipv4/ip_forward",
		"net.ipv4.ip_forward", "net.core.somaxconn", "net.ipv6.conf.all.forwarding", "aaa", "ab", "abab", "a]b", "a-b", "a{2}", "b", "9", "_", "a.b",
	}
	for _, p := range []string{
		`^net.ipv4.conf.IFNAME.[a-z_]*$`, `^net\.ipv4\.conf\.IFNAME\.[a-z_]+$`, `net.core.somaxconn`, `^net\.(ipv4|ipv6)\.conf\.(all|IFNAME)\.[^.]*$`, `.*`, `^$`, ``, `$`, `^`,
		`^(ab)*$`, `^(?:ab)+$`, `^a{2,3}$`, `^a{3}$`, `^a{2,}$`, `^a{0}$`, `^(a|ab)(b|)$`, `^a?b?$`, `a*?b`, `[]a]`, `[^]a]`, `[a-]`, `[-a]`, `[\]]b`, `a{`, `a{2}`, `a\{2\}`, `^\w+$`, `^\W+$`, `^[\d]$`, `\D`,
		`\s`, `[\w.]+`, `a||b`, `(|a)b`, `((a*)*)*b`, `^(a?){3}$`, `x^`, `$a`, `(^a|b$)`, `_[a-c]`, `^[A-Z]+`, `a,{1}`, `{`, `}`, `]`, `#`, `net/ipv4/.*`, `^(((a|b)+)*)+$`,
	} {
		got, err := parsePattern(p)
		if err != nil {
			t.Errorf("%q: %v", p, err)
			continue
		}
		want := regexp.MustCompile(p)
		for _, text := range texts {
			if is := want.MatchString(text); got.matches(text) != is {
				t.Errorf("%q matches %q: %t, regexp says %t", p, text, !is, is)
			}
		}
	}
}

// TestPatternRefused: what the syntax lacks is an error, and never another meaning.
func TestPatternRefused(t *testing.T) {
	for _, p := range []string{
		`(?i)a`, `(?P<x>a)`, `\b`, `\pL`, `\Qa\E`, `\x41`, `\1`, `\A`, `\z`, `[[:alpha:]]`, `[a-\w]`, `[z-a]`, `(`, `)`, `[`, `[]`, `[a`, `*`, `+a`, `a**`, `a{1001}`, `a{3,2}`, `(a`, `a)`, `\`, `ü`,
		strings.Repeat("(", 60) + strings.Repeat(")", 60), strings.Repeat("a", 1025), `a+*`, `|*`,
	} {
		if _, err := parsePattern(p); err == nil {
			t.Errorf("%q was accepted", p)
		}
	}
}

// TestPatternEnds: the time is bounded where backtracking would take exponential time.
func TestPatternEnds(t *testing.T) {
	for _, p := range []string{`((((a?){1000}){1000}){1000}){1000}b`, `(((a{1000}){1000}){1000}){1000}`, strings.Repeat("(", 49) + "()" + strings.Repeat("{1000})", 49)} {
		if _, err := parsePattern(p); !errors.Is(err, errTooComplex) {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range []string{`^(a*)*b$`, `^(a|aa)+$x`, `(a?){1000}b`, `(((((a*)*b?)*)*c?)*)*d`, `^((((a*b)*c)*d)*e)*f`} {
		got, err := parsePattern(p)
		if err != nil {
			t.Fatal(err)
		}
		if got.matches(strings.Repeat("a", 255)) {
			t.Errorf("%q matches", p)
		}
	}
}

// FuzzPattern: what is accepted means the same as for package regexp.
func FuzzPattern(f *testing.F) {
	f.Add(`^net\.(ipv4|ipv6)\.conf\.[a-z_]{1,3}?$`, "net.ipv4.conf.ab")
	f.Add(`[^]a-c\d]*|x+`, "a]9")
	f.Fuzz(func(t *testing.T, p, text string) {
		got, err := parsePattern(p)
		if err != nil || len(text) > maxSysctlName || strings.ContainsFunc(text, func(r rune) bool { return r > '~' }) {
			return
		}
		want, err := regexp.Compile(p)
		if err != nil {
			if !strings.Contains(err.Error(), "invalid repeat count") && !strings.Contains(err.Error(), "expression too large") {
				t.Fatalf("%q was accepted: %v", p, err)
			}
			return
		}
		if is := want.MatchString(text); got.matches(text) != is {
			t.Errorf("%q matches %q: %t, regexp says %t", p, text, !is, is)
		}
	})
}
