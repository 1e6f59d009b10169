package structure

import (
	"fmt"
	"go/doc"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	docpage "github.com/patchbay-cni/patchbay/test/kit/page"
)

// TestArchitecturePage compares the table of packages in docs/architecture.md with the table of imports and the
// first sentences of the package comments. PATCHBAY_UPDATE=1 writes it.
//
// Claim: docs/architecture.md has the packages and what each may import
func TestArchitecturePage(t *testing.T) {
	docpage.Part{File: filepath.Join(top(t), "docs/architecture.md"), Name: "imports", From: "the imports or a package comment"}.Compare(
		t, importsTable(imports(), sentences(sources(t))))
}

// importsTable returns the table of packages, those that others are built on first.
func importsTable(allowed map[string][]string, sentences map[string]string) string {
	var table strings.Builder
	table.WriteString("| package | provides | may import |\n|---|---|---|\n")
	for _, dir := range slices.SortedFunc(maps.Keys(allowed), func(a, b string) int {
		if byLevel := level(allowed, a) - level(allowed, b); byLevel != 0 {
			return byLevel
		}
		return strings.Compare(a, b)
	}) {
		var names []string
		for _, name := range allowed[dir] {
			names = append(names, "`"+strings.TrimPrefix(name, "pkg/")+"`")
		}
		fmt.Fprintf(&table, "| [`%s`](../%s) | %s | %s |\n", dir, dir, sentences[dir], strings.Join(names, ", "))
	}
	return table.String()
}

// level returns 0 for a package that may import none, else one more than the highest level of those it may import.
func level(allowed map[string][]string, dir string) int {
	highest := 0
	for _, name := range allowed[dir] {
		highest = max(highest, level(allowed, name)+1)
	}
	return highest
}

// sentences returns the first sentence of each package comment without "Package NAME".
func sentences(files []source) map[string]string {
	all := map[string]string{}
	for _, f := range files {
		if f.isTest() || f.file.Doc == nil {
			continue
		}
		text := strings.TrimPrefix(new(doc.Package).Synopsis(f.file.Doc.Text()), "Package "+f.file.Name.Name+" ")
		all[f.dir()] = strings.ReplaceAll(strings.TrimSuffix(text, "."), "|", "\\|")
	}
	return all
}

func TestImportsTable(t *testing.T) {
	allowed := map[string][]string{"plugins/x": {"pkg/a", "pkg/b"}, "pkg/b": {"pkg/a"}, "pkg/a": {}}
	files := []source{
		parse(t, "pkg/a/doc.go", []byte("// Package a provides a | b. It never\n// does c.\npackage a\n")),
		parse(t, "pkg/a/a_test.go", []byte("// Package a is a test.\npackage a\n")),
		parse(t, "pkg/b/b.go", []byte("// Package b writes\n// b.\npackage b\n")),
		parse(t, "pkg/b/c.go", []byte("package b\n")),
	}
	want := "| package | provides | may import |\n|---|---|---|\n" +
		"| [`pkg/a`](../pkg/a) | provides a \\| b |  |\n" +
		"| [`pkg/b`](../pkg/b) | writes b | `a` |\n" +
		"| [`plugins/x`](../plugins/x) |  | `a`, `b` |\n"
	if diff := cmp.Diff(want, importsTable(allowed, sentences(files))); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
