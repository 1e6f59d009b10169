package hostsfile

import (
	"iter"
	"net/netip"
	"strconv"
	"strings"
)

// Limits of a host name in bytes (RFC 1123, section 2.1).
const (
	maxName  = 253
	maxLabel = 63
)

// Legal reports whether a name is a host name (RFC 1123, section 2.1): labels of letters, digits and dashes with dots between
// them. A name that inet_aton(3) reads as an address, 10 or 10.1 for example, is none: no program looks it up.
func Legal(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return false
		}
	}
	_, err := strconv.ParseUint(labels[len(labels)-1], 0, 64)
	last := strings.Trim(labels[len(labels)-1], "0123456789")
	return err != nil && last != ""
}

func isLabel(label string) bool {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Fold returns a name as names are compared: without regard to case (RFC 4343).
func Fold(name string) string { return strings.ToLower(name) }

// Names returns the pairs of address and name of hosts(5) lines, in order. Lines without an address are skipped.
func Names(lines string) iter.Seq2[netip.Addr, string] {
	return func(yield func(netip.Addr, string) bool) {
		for line := range strings.Lines(lines) {
			line, _, _ = strings.Cut(line, "#")
			words := strings.Fields(line)
			if len(words) < 2 {
				continue
			}
			addr, err := netip.ParseAddr(words[0])
			for _, name := range words[1:] {
				if err == nil && !yield(addr, name) {
					return
				}
			}
		}
	}
}
