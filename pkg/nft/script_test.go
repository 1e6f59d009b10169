package nft_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// load runs nft -f with a text.
func load(t *testing.T, h *nettest.Node, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script.nft")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := h.Command("nft", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s\n%s", err, out, text)
	}
}

// TestScript builds the tables for one entry after the other, once by this package and once by nft(8) from the script that
// the package writes for the host as it is then. Every form of rule and of element is in one of the entries.
//
// Claim: The printed nft commands make the ruleset that ADD makes
func TestScript(t *testing.T) {
	t.Parallel()
	ours, theirs := host(t), host(t)
	r, reader := in(t, ours), in(t, theirs)
	for _, e := range forms() {
		before := list(t, ours)
		if err := inHost(ours, func() error { return r.Build(e, only(e)) }); err != nil {
			t.Fatalf("%s: %v", e.Network, err)
		}
		s, err := reader.Script(e)
		if err != nil {
			t.Fatalf("%s: %v", e.Network, err)
		}
		if isFirst := before == ""; isFirst != strings.HasPrefix(s.Tables, "table inet patchbay {") {
			t.Errorf("%s: the tables are %q, and they did not exist: %v", e.Network, s.Tables, isFirst)
		}
		load(t, theirs, s.Tables+s.Chains+s.Elements)
		if diff := cmp.Diff(list(t, ours), list(t, theirs)); diff != "" {
			t.Fatalf("after %s nft lists (-ADD +script):\n%s\nof\n%s", e.Network, diff, s)
		}
	}
	if diff := cmp.Diff(listJSON(t, ours), listJSON(t, theirs)); diff != "" {
		t.Errorf("nft -j list (-ADD +script):\n%s", diff)
	}
	for _, e := range forms() {
		if s, err := reader.Script(e); err != nil || s.Tables+s.Chains != "" {
			t.Errorf("%s: a script for chains that exist: %v\n%s%s", e.Network, err, s.Tables, s.Chains)
		}
	}
}

// TestScriptNames refuses names that nft(8) cannot read.
//
// Claim: The printed nft commands make the ruleset that ADD makes
func TestScriptNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{`a"b`, "eth*", `a\b`} {
		e := entry("net", name, "a", "10.1.2.3/24")
		if s, err := nft.ScriptOf(e); err == nil {
			t.Errorf("bridge %q: no error, and the script\n%s", name, s.Elements)
		}
		e = entry("net", "cni0", "a", "10.1.2.3/24")
		e.Owner += name
		if s, err := nft.ScriptOf(e); err == nil && name != "eth*" {
			t.Errorf("owner %q: no error, and the script\n%s", e.Owner, s.Elements)
		}
	}
}
