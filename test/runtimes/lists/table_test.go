package lists

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/test/kit/page"
)

// TestTable compares the table of lists in docs/migration.md with the lists that are tested. PATCHBAY_UPDATE=1 writes it.
//
// Claim: docs/migration.md has the public configurations that are tested, with their sources
func TestTable(t *testing.T) {
	page.Part{File: "../../../docs/migration.md", Name: "lists", From: "the lists that are tested"}.Compare(t, table(t))
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
