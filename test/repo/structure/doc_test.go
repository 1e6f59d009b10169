package structure

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// undocumented names each directory whose package has no doc comment, or one that does not begin as a doc comment does.
// The comment of a package with other files than tests is in one of those.
func undocumented(files []source) []string {
	code, docs := map[string]bool{}, map[string]string{}
	for _, f := range files {
		code[f.dir()] = code[f.dir()] || !f.isTest()
	}
	for _, f := range files {
		if f.dir() == "." || (f.isTest() && code[f.dir()]) {
			continue
		}
		docs[f.dir()] += f.file.Doc.Text()
		if name := f.file.Name.Name; name != "main" && f.file.Doc != nil && !strings.HasPrefix(f.file.Doc.Text(), "Package "+name+" ") {
			docs[f.dir()] = fmt.Sprintf("!begins with other words than %q in %s", "Package "+name, f.path)
		}
	}
	var bad []string
	for _, dir := range slices.Sorted(maps.Keys(docs)) {
		switch doc := docs[dir]; {
		case doc == "":
			bad = append(bad, dir+": the package has no doc comment: first what it owns, then what it never does")
		case doc[0] == '!':
			bad = append(bad, dir+": the doc comment "+doc[1:])
		}
	}
	return bad
}

// TestPackagesHaveDocComments: every package of both modules says what it owns.
//
// Claim: Every package has a doc comment
func TestPackagesHaveDocComments(t *testing.T) {
	report(t, undocumented(sources(t)))
}

// Claim: Every package has a doc comment
func TestUndocumentedFinds(t *testing.T) {
	files := []source{
		parse(t, "pkg/good/a.go", []byte("// Package good owns a.\npackage good\n")),
		parse(t, "pkg/good/b.go", []byte("package good\n")),
		parse(t, "pkg/none/a.go", []byte("// A detached comment.\n\npackage none\n")),
		parse(t, "pkg/odd/a.go", []byte("// Odd is odd.\npackage odd\n")),
		parse(t, "test/only/a_test.go", []byte("package only\n")),
		parse(t, "test/said/a_test.go", []byte("// Package said is of tests only.\npackage said\n")),
		parse(t, "pkg/good/a_test.go", []byte("// The tests of good.\npackage good\n")),
		parse(t, "plugins/x/main.go", []byte("// Patchbay is a plugin.\npackage main\n")),
	}
	want := []string{
		"pkg/none: the package has no doc comment: first what it owns, then what it never does",
		`pkg/odd: the doc comment begins with other words than "Package odd" in pkg/odd/a.go`,
		"test/only: the package has no doc comment: first what it owns, then what it never does",
	}
	if diff := cmp.Diff(want, undocumented(files)); diff != "" {
		t.Errorf("undocumented (-want +got):\n%s", diff)
	}
}
