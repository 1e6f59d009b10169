package conformance

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestBroken: each check fails for a plugin that is broken in what the check is about.
//
// Claim: A check of the conformance kit fails for a plugin that breaks what it is about, tried with 75 broken plugins
func TestBroken(t *testing.T) {
	plugin := nettest.Patchbay(t)
	profile := patchbay(t)
	for _, f := range faults() {
		t.Run(f.check, func(t *testing.T) {
			t.Parallel()
			wrapper := filepath.Join(t.TempDir(), "patchbay")
			text := "#!/bin/sh\nP=" + plugin + "\n" + f.script + "\n"
			if err := nettest.WriteProgram(wrapper, []byte(text)); err != nil {
				t.Fatal(err)
			}
			outcomes, err := Run(Options{Profile: profile, Plugin: wrapper, Select: regexp.MustCompile("^" + regexp.QuoteMeta(f.check) + "$"), Parallel: 1})
			if err != nil {
				t.Fatal(err)
			}
			if len(outcomes) != 1 || outcomes[0].Verdict != Fail || !strings.HasPrefix(outcomes[0].Reason, f.reason) {
				t.Fatalf("the check did not fail with %q: %+v", f.reason, outcomes)
			}
		})
	}
}

// patchbay returns the profile of the plugin under test.
func patchbay(t *testing.T) *Profile {
	t.Helper()
	nettest.Root(t)
	p, err := LoadProfile("patchbay")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPatchbay runs every check.
//
// Claim: Patchbay passes every check of the conformance kit (docs/conformance.md)
func TestPatchbay(t *testing.T) {
	outcomes, err := Run(Options{Profile: patchbay(t), Plugin: nettest.Patchbay(t)})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Verdict != Pass {
			t.Errorf("%s: %s: %s\n%s", o.Check.ID, o.Verdict, o.Reason, strings.Join(o.Log, "\n"))
		}
	}
	if len(outcomes) != len(Checks()) {
		t.Errorf("%d outcomes of %d checks", len(outcomes), len(Checks()))
	}
}
