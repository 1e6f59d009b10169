package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/config"
)

// TestCalled: the name of the program decides, then CNI_PATH; an ambiguous call is an error.
//
// Claim: The name of the executable selects main plugin or IPAM plugin; a main plugin's configuration never succeeds without an interface
func TestCalled(t *testing.T) {
	t.Parallel()
	main, asIPAM := config.Called{}, func(alias string) config.Called { return config.Called{Alias: alias, AsIPAM: true} }
	for _, tc := range []struct {
		program, main, ipam string
		this, others        []string // what CNI_PATH has
		want                config.Called
		fails               bool
	}{
		{program: "patchbay", main: "patchbay", ipam: "patchbay", want: main},
		{program: "", main: "patchbay", ipam: "patchbay", want: main},
		{program: "patchbay", main: "bridge", ipam: "", want: main},
		{program: "bridge", main: "bridge", ipam: "patchbay", want: main},
		{program: "bridge", main: "bridge", ipam: "host-local", want: main},
		{program: "bridge", main: "bridge", ipam: "bridge", want: main},
		{program: "patchbay", main: "macvlan", ipam: "patchbay", others: []string{"macvlan"}, want: asIPAM("patchbay")},
		{program: "patchbay", main: "macvlan", ipam: "patchbay", this: []string{"patchbay"}, fails: true},
		{program: "patchbay", main: "bridge", ipam: "patchbay", this: []string{"bridge", "patchbay"}, want: main},
		{program: "patchbay", main: "bridge", ipam: "host-local", others: []string{"bridge", "host-local"}, want: main},
		{program: "host-local", main: "macvlan", ipam: "host-local", want: asIPAM("host-local")},
		{program: "pool", main: "patchbay", ipam: "pool", others: []string{"patchbay"}, want: asIPAM("pool")},
		{program: "pool", main: "patchbay", ipam: "pool", this: []string{"patchbay", "pool"}, want: main},
		{program: "patchbay-v2", main: "patchbay", ipam: "patchbay", want: main},
		{program: "patchbay-v2", main: "bridge", ipam: "patchbay", this: []string{"bridge"}, want: main},
		{program: "patchbay-v2", main: "bridge", ipam: "patchbay", this: []string{"patchbay"}, others: []string{"bridge"}, want: asIPAM("patchbay")},
		{program: "patchbay-v2", main: "bridge", ipam: "patchbay", this: []string{"patchbay"}, fails: true},
		{program: "patchbay-v2", main: "bridge", ipam: "patchbay", others: []string{"bridge", "patchbay"}, fails: true},
		{program: "patchbay-v2", main: "bridge", ipam: "dhcp", others: []string{"bridge", "dhcp"}, want: main},
	} {
		r := Request{
			Program: tc.program, Path: pluginDir(t, tc.this, tc.others),
			Config: fmt.Appendf(nil, `{"name": "net", "type": %q, "ipam": {"type": %q}}`, tc.main, tc.ipam),
		}
		got, err := r.called()
		if got != tc.want || errors.Is(err, errNoRole) != tc.fails {
			t.Errorf("%+v: %+v, %v", tc, got, err)
		}
		if r.identify().Name != "net" { // DEL works in any role
			t.Errorf("%+v: a DEL does not read the name", tc)
		}
	}
}

// pluginDir returns a directory with this program under some names, and with other programs.
func pluginDir(t *testing.T, this, others []string) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	for _, name := range this {
		err = errors.Join(err, os.Symlink(self, filepath.Join(dir, name)))
	}
	for _, name := range others {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/true\n"), 0o700))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
