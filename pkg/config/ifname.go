package config

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/containernetworking/cni/pkg/utils"
)

// ValidateInterfaceName refuses what cannot be the name of an interface, by the rules of the
// specification's library and two of the kernel's own: it takes a % for a pattern and makes an
// interface of another name, and it keeps the names that have a meaning under /proc/sys/net.
// A zero byte would end the name early, and what is not UTF-8 cannot be written in a record or a
// result: JSON would name another interface.
func ValidateInterfaceName(name string) error {
	if err := utils.ValidateInterfaceName(name); err != nil {
		return errors.New(strings.TrimPrefix(err.Msg, "interface "))
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
