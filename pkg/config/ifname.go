package config

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const longestInterfaceName = 15 // bytes, IFNAMSIZ of Linux less the terminating zero

// ValidName reports whether CNI SPEC.md section 2 allows a network name or container ID: letters,
// digits, dot, underscore and dash, a letter or digit first. The specification's library
// (cni/pkg/utils) says the same with a regular expression, which every exec would compile: that
// takes a tenth of a millisecond.
func ValidName(name string) bool {
	for i := range len(name) {
		c := name[i]
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alphanumeric && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return name != ""
}

// ValidateInterfaceName refuses what cannot be the name of an interface, by the rules of the
// specification's library and two of the kernel's own: it takes a % for a pattern and makes an
// interface of another name, and it keeps the names that have a meaning under /proc/sys/net.
// A zero byte would end the name early, and what is not UTF-8 cannot be written in a record or a
// result: JSON would name another interface.
func ValidateInterfaceName(name string) error {
	switch {
	case name == "":
		return errors.New("name is empty")
	case len(name) > longestInterfaceName:
		return errors.New("name is too long")
	case name == "." || name == "..":
		return errors.New("name is . or ..") //nolint:revive,staticcheck // the words of the specification's library
	case strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r == ':' || unicode.IsSpace(r) }):
		return errors.New("name contains / or : or whitespace characters")
	}
	if strings.Contains(name, "%") || strings.ContainsFunc(name, unicode.IsControl) {
		return errors.New("name contains % or control characters")
	}
	if !utf8.ValidString(name) {
		return errors.New("name is not UTF-8")
	}
	if slices.Contains([]string{"all", "default"}, name) {
		return errors.New("name is reserved by the kernel")
	}
	return nil
}
