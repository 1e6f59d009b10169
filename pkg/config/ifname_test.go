package config

import (
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/utils"
)

func TestValidateInterfaceName(t *testing.T) {
	const separators, patterns, reserved = "name contains / or : or whitespace characters", "name contains % or control characters", "name is reserved by the kernel"
	for name, want := range map[string]string{
		"eth0": "", "e": "", "fifteen-bytes-x": "", "br-lan.5": "", "ifname@x": "", "allx": "", "Default": "", "é": "",
		"":                 "name is empty",
		"sixteen-bytes-xx": "name is too long",
		".":                "name is . or ..",
		"..":               "name is . or ..",
		"a/b":              separators,
		"a:b":              separators,
		"a b":              separators,
		"a\tb":             separators,
		"veth%d":           patterns,
		"a\x00b":           patterns,
		"a\x7f":            patterns,
		"a\xff":            "name is not UTF-8",
		"all":              reserved,
		"default":          reserved,
	} {
		got := ""
		if err := ValidateInterfaceName(name); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

// TestValidName: names are those that the specification's library accepts.
func TestValidName(t *testing.T) {
	for _, name := range []string{"", "a", "Z9", "0", "a.b-c_d", "-a", ".a", "_a", "a b", "a/b", "a\n", "a\x00", "ä", "a:", "a@b", strings.Repeat("x", 300)} {
		if got, want := ValidName(name), utils.ValidateNetworkName(name) == nil; got != want {
			t.Errorf("%q: got %t, want %t", name, got, want)
		}
	}
}

func FuzzValidName(f *testing.F) {
	f.Add("net-1.x_y")
	f.Fuzz(func(t *testing.T, name string) {
		if got, want := ValidName(name), utils.ValidateNetworkName(name) == nil; got != want {
			t.Errorf("%q: got %t, want %t", name, got, want)
		}
	})
}
