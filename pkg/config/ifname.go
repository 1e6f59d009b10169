package config

import (
	"errors"
	"slices"
	"strings"
	"unicode"

	"github.com/containernetworking/cni/pkg/utils"
)

// ValidateInterfaceName refuses what cannot be the name of an interface, by the rules of the
// specification's library and two of the kernel's own: it takes a % for a pattern and makes an
// interface of another name, and it keeps the names that have a meaning under /proc/sys/net.
// A zero byte would end the name early.
func ValidateInterfaceName(name string) error {
	if err := utils.ValidateInterfaceName(name); err != nil {
		return errors.New(strings.TrimPrefix(err.Msg, "interface "))
	}
	if strings.Contains(name, "%") || strings.ContainsFunc(name, unicode.IsControl) {
		return errors.New("name contains % or control characters")
	}
	if slices.Contains([]string{"all", "default"}, name) {
		return errors.New("name is reserved by the kernel")
	}
	return nil
}
