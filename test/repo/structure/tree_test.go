package structure

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/patchbay-cni/patchbay"

// source is one parsed Go file; path is relative to the top of the repository, with slashes.
type source struct {
	path string
	fset *token.FileSet
	file *ast.File
}

func (s source) dir() string          { return filepath.ToSlash(filepath.Dir(s.path)) }
func (s source) isTest() bool         { return strings.HasSuffix(s.path, "_test.go") }
func (s source) line(p token.Pos) int { return s.fset.Position(p).Line }

// top is the repository's directory.
func top(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// sources parses every Go file of the repository, both modules.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	root := top(t)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (name == "bin" || name == "testdata" || strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		all = append(all, parse(t, filepath.ToSlash(relative), nil))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found only %d Go files under %s: is this the repository?", len(all), root)
	}
	return all
}

// fileSet is one for all files, so that files of one package can be type-checked together.
var fileSet = sync.OnceValue(token.NewFileSet)

// parse reads one file; text nil means from disk.
func parse(t *testing.T, path string, text []byte) source {
	t.Helper()
	if text == nil {
		var err error
		if text, err = os.ReadFile(filepath.Join(top(t), path)); err != nil {
			t.Fatal(err)
		}
	}
	fset := fileSet()
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return source{path: path, fset: fset, file: file}
}

// report fails the test with one line for each violation.
func report(t *testing.T, violations []string) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}

// TestTopLevelNames holds the fixed list of names at the top of the repository; dotfiles and the ignored bin and dist are free.
//
// Claim: The top level of the repository holds a fixed list of names
func TestTopLevelNames(t *testing.T) {
	want := []string{
		"CHANGELOG.md", "LICENSE", "Makefile", "README.md", "conf", "docs", "go.mod", "go.sum", "pkg", "plugins", "scripts", "test",
	}
	entries, err := os.ReadDir(top(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, ".") && name != "bin" && name != "dist" {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("top level names (-want +got):\n%s", diff)
	}
}
