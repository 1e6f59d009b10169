package reference

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/conformance"
	"github.com/patchbay-cni/patchbay/test/kit/page"
)

// column is a plugin of the page.
type column struct {
	title    string
	profile  *conformance.Profile
	outcomes []conformance.Outcome
}

// load reads a profile.
func load(t *testing.T, name string) *conformance.Profile {
	t.Helper()
	p, err := conformance.LoadProfile(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// runProfile runs checks with a profile.
func runProfile(t *testing.T, profile string, o conformance.Options) []conformance.Outcome {
	t.Helper()
	nettest.Root(t)
	o.Profile = load(t, profile)
	outcomes, err := conformance.Run(o)
	if err != nil {
		t.Fatal(err)
	}
	return outcomes
}

// TestPage compares the results of Patchbay and of the reference plugin bridge with docs/conformance.md, and writes it with PATCHBAY_UPDATE=1.
//
// Claim: docs/conformance.md has the results of the conformance kit for Patchbay and for the reference plugin bridge v1.9.1, as a run just found them
func TestPage(t *testing.T) {
	columns := []column{
		{"Patchbay", load(t, "patchbay"), runProfile(t, "patchbay", conformance.Options{Plugin: nettest.Patchbay(t)})},
		{"bridge 1.9.1", load(t, "reference-bridge"), runProfile(t, "reference-bridge", conformance.Options{Plugin: nettest.Program(t, "bridge")})},
	}
	known(t, columns[1])
	page.Part{File: "../../../docs/conformance.md", Name: "results", From: "this run"}.Compare(t, results(columns))
}

// known makes sure that each failed check that a profile knows has failed.
func known(t *testing.T, c column) {
	t.Helper()
	for _, o := range c.outcomes {
		if _, is := c.profile.Known[o.Check.ID]; is && o.Verdict != conformance.Fail {
			t.Errorf("%s: the profile knows that %s fails, and it is: %s", c.title, o.Check.ID, o.Verdict)
		}
	}
}

// TestProfiles runs the profiles of plugins of other kinds, without the checks that depend on when a signal arrives: of the checks of
// level MUST exactly these fail.
func TestProfiles(t *testing.T) {
	for _, row := range []struct {
		plugin, profile string
		fail            []string
	}{
		{"ptp", "reference-ptp", []string{"result-prevresult", "version-echo"}},
		{"macvlan", "reference-macvlan", []string{"result-prevresult", "version-echo"}},
		{"flannel", "flannel", []string{"check-prevresult-absent", "result-prevresult", "version-echo"}},
	} {
		t.Run(row.plugin, func(t *testing.T) {
			nettest.Need(t, nettest.LinkKind("macvlan"))
			c := runProfile(t, row.profile, conformance.Options{Plugin: nettest.Program(t, row.plugin), Select: regexp.MustCompile(`^([^kt]|keys)`)})
			var failed []string
			for _, o := range c {
				if o.Verdict == conformance.Fail && o.Check.Level == conformance.Must {
					failed = append(failed, o.Check.ID)
				}
			}
			slices.Sort(failed)
			if diff := cmp.Diff(row.fail, failed); diff != "" {
				t.Errorf("checks of level MUST that fail (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDropIn: Patchbay under the names bridge and host-local passes with the profile of the reference plugins.
//
// Claim: Patchbay under the names bridge and host-local passes the conformance kit with the profile of the reference plugins
func TestDropIn(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile(nettest.Patchbay(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bridge", "host-local"} {
		if err := nettest.WriteProgram(filepath.Join(dir, name), text); err != nil {
			t.Fatal(err)
		}
	}
	passes(t, runProfile(t, "reference-bridge", conformance.Options{Plugin: filepath.Join(dir, "bridge")}))
}

// TestVersions: checks that apply to an older version of the specification pass with configurations of that version.
//
// Claim: Patchbay passes the conformance kit with configurations of each older version of the specification
func TestVersions(t *testing.T) {
	for _, v := range conformance.Versions()[:len(conformance.Versions())-1] {
		t.Run(v, func(t *testing.T) {
			passes(t, runProfile(t, "patchbay", conformance.Options{Plugin: nettest.Patchbay(t), Version: v}))
		})
	}
}

// passes fails unless the checks that apply have passed, which are most.
func passes(t *testing.T, outcomes []conformance.Outcome) {
	t.Helper()
	passed := 0
	for _, o := range outcomes {
		switch o.Verdict {
		case conformance.Fail:
			t.Errorf("%s: %s", o.Check.ID, strings.Join(o.Log, "\n"))
		case conformance.Pass:
			passed++
		}
	}
	if passed < len(outcomes)/2 {
		t.Errorf("only %d of %d checks apply", passed, len(outcomes))
	}
}

// TestFile: a profile that is a file is read as well, and a wrong one is refused with what is wrong.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		`{"name": "x", "network": {"type": "x"}}`:                            "",
		`{"name": "x", "network": {}}`:                                       "network.type is not set",
		`{"name": "x", "network": {"type": "x"}, "variants": {"other": {}}}`: `unknown variant "other"`,
		`{"name": "x", "netwrk": {}}`:                                        `unknown field "netwrk"`,
	} {
		path := filepath.Join(dir, "profile.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := conformance.LoadProfile(path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
