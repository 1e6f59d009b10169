package lists

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The page with the table, and its markers.
const (
	page  = "../../../docs/migration.md"
	begin = "<!-- lists:begin -->\n"
	end   = "<!-- lists:end -->\n"
)

// TestTable compares the table of lists in docs/migration.md with the lists that are tested. PATCHBAY_UPDATE=1 writes it.
//
// Claim: docs/migration.md has the public configurations that are tested, with their sources
func TestTable(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundEnd {
		t.Fatalf("%s has no markers %q", page, begin)
	}
	want := before + begin + table(t) + end + after
	if os.Getenv("PATCHBAY_UPDATE") != "" {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil { //nolint:gosec // as git has it
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s differs from the lists that are tested; write it with PATCHBAY_UPDATE=1 go -C test test -run TestTable ./runtimes/lists (-want +got):\n%s", page, diff)
	}
}

// table returns one row for each list.
func table(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| caller | cniVersion | plugins | source | filled in for the test |\n|---|---|---|---|---|\n")
	for _, l := range lists() {
		c := l.read(t)
		types := c.types()
		for i, name := range types {
			types[i] = "`" + name + "`"
		}
		plugins := strings.Join(types, ", ")
		if l.refuse != "" {
			plugins += " with `" + l.refuse + "` (needs a kernel with VLAN filtering)"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", l.caller, c.CNIVersion, plugins, l.source, l.filled)
	}
	return b.String()
}

// TestFiles: every file of testdata is run.
//
// Claim: docs/migration.md has the public configurations that are tested, with their sources
func TestFiles(t *testing.T) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, l := range lists() {
		listed = append(listed, l.file)
	}
	slices.Sort(listed)
	var files []string
	for _, e := range entries {
		files = append(files, e.Name())
	}
	if diff := cmp.Diff(files, listed); diff != "" {
		t.Errorf("files (-testdata +lists):\n%s", diff)
	}
}
