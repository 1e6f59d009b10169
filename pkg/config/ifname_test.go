package config

import "testing"

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
