package explain

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestPage generates docs/by-hand.md: every command in it runs, and every output and picture comes from a host. At the end of both ways the
// container reaches the outside.
//
// Claim: The page that shows an attachment made by hand beside ours is generated from a host, with a picture after each step
func TestPage(t *testing.T) {
	t.Parallel()
	all := conflists(t)
	c := all[slices.IndexFunc(all, func(c conflist) bool { return c.Name == "lan" })]
	byHand, ours := c.named(t), c.named(t)
	text, err := template.New("by-hand.md.tmpl").Funcs(template.FuncMap{
		"hand": func(command string) string { return byHand.shell(t, command) }, "ours": func(command string) string { return ours.shell(t, command) },
	}).ParseFiles("testdata/by-hand.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := text.Execute(&out, nil); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), ", 0% packet loss"); n != 2 {
		t.Errorf("%d of 2 pings have an answer:\n%s", n, out.String())
	}
	golden(t, "../../../docs/by-hand.md", out.String())
	byHand.Run(t, "ip", "netns", "del", "c1")
}

// named returns a machine whose names are the same in every run.
func (c conflist) named(t *testing.T) machine {
	t.Helper()
	m := c.machine(t)
	id := filepath.Join(t.TempDir(), "machine-id")
	if err := os.WriteFile(id, []byte("0123456789abcdef0123456789abcdef\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	m.Run(t, "mount", "--bind", id, "/etc/machine-id")
	return m
}

// shell runs a line of the page on a host with the name lab, and returns the line and its output as a terminal shows them.
func (m machine) shell(t *testing.T, command string) string {
	t.Helper()
	cmd := m.Command("unshare", "--uts", "sh", "-c", "hostname lab; patchbay() { "+nettest.Patchbay(t)+` "$@"; }; `+command)
	cmd.Env = m.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return strings.TrimRight("$ sudo "+command+"\n"+string(out), "\n")
}

// golden compares a file with a text, or writes it.
func golden(t *testing.T, path, text string) {
	t.Helper()
	if os.Getenv("PATCHBAY_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s is not what the test generates; PATCHBAY_UPDATE=1 writes it (-page +now):\n%s", path, diff)
	}
}
