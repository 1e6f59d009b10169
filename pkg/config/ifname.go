package config

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxInterfaceName = 15 // bytes: IFNAMSIZ (16) of Linux, less the terminating zero

// ValidName reports whether CNI SPEC section 1 allows a network name or container
// ID: letters, digits, dot, underscore and hyphen, starting with a letter or digit.
// The specification's library (cni/pkg/utils) has a regular expression for it, which
// takes 0.1 ms to compile in every process.
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

// ValidateInterfaceName returns an error if an interface cannot have a name. It has
// the rules of the specification's library (utils.ValidateInterfaceName), and more:
// in a name with "%" the kernel inserts a number, "all" and "default" have a meaning
// below /proc/sys/net, and a name with a zero byte or invalid UTF-8 would be another
// name in the kernel, or in the JSON of a record or result.
func ValidateInterfaceName(name string) error {
	switch {
	case name == "":
		return errors.New("name is empty")
	case len(name) > maxInterfaceName:
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
