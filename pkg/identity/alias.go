package identity

import (
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

const (
	markPrefix          = "patchbay:"
	markDigits          = 12
	hexDigits           = "0123456789abcdef"
	hostInterfacePrefix = "veth"
	ifbPrefix           = "ifb"
	hostInterfaceDigits = 11
	base32Digits        = "abcdefghijklmnopqrstuvwxyz234567"
)

// maxAlias is the longest alias in bytes: IFALIASZ of Linux without the terminating zero.
const maxAlias = 255

// ParseAlias reads the alias of a host interface, or the comment of an nftables element: which attachment it belongs to, and
// the owner. ok reports whether it begins with a mark; the text after the mark may have been cut at maxAlias bytes, so that
// key is empty in part.
func ParseAlias(alias string) (key store.Key, owner string, ok bool) {
	mark, rest, _ := strings.Cut(alias, " ")
	if !consistsOf(mark, markPrefix, hexDigits, markDigits) {
		return store.Key{}, "", false
	}
	key, owner, _ = store.ParseKey(rest)
	return key, owner, true
}

// MarkOf returns the mark that an alias begins with, "" if it has none.
func MarkOf(alias string) string {
	mark, _, _ := strings.Cut(alias, " ")
	if !consistsOf(mark, markPrefix, hexDigits, markDigits) {
		return ""
	}
	return mark
}

// IsHostInterface reports whether an interface name has the form of Names.HostInterface.
func IsHostInterface(name string) bool {
	return consistsOf(name, hostInterfacePrefix, base32Digits, hostInterfaceDigits)
}

// consistsOf reports whether text is prefix followed by count of the given digits. Package regexp would add a quarter of a
// megabyte to the binary.
func consistsOf(text, prefix, digits string, count int) bool {
	rest, found := strings.CutPrefix(text, prefix)
	return found && len(rest) == count && strings.Trim(rest, digits) == ""
}
