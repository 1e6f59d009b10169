package structure

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	maxFunctionLines = 60
	maxFileLines     = 400
)

// tooLong lists each function and file of f over the limit.
func tooLong(f source) []string {
	var bad []string
	if lines := f.fset.File(f.file.Package).LineCount(); lines > maxFileLines {
		bad = append(bad, fmt.Sprintf("%s has %d lines; %d is the limit", f.path, lines, maxFileLines))
	}
	for _, d := range f.file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		first := f.line(fn.Pos())
		if lines := f.line(fn.End()) - first + 1; lines > maxFunctionLines {
			bad = append(bad, fmt.Sprintf("%s:%d %s has %d lines; %d is the limit", f.path, first, fn.Name.Name, lines, maxFunctionLines))
		}
	}
	return bad
}

// TestLengths checks that no function has more than 60 lines and no file more than 400, tests included.
func TestLengths(t *testing.T) {
	for _, f := range sources(t) {
		report(t, tooLong(f))
	}
}

func TestTooLongFinds(t *testing.T) {
	function := func(lines int) string { return "func f() {" + strings.Repeat("\n", lines-1) + "}\n" }
	tests := []struct {
		name, path, text string
		want             []string
	}{
		{"60 lines", "pkg/a/a.go", "package a\n\n" + function(60), nil},
		{"61 lines", "pkg/a/a.go", "package a\n\n" + function(61), []string{"pkg/a/a.go:3 f has 61 lines; 60 is the limit"}},
		{"a test", "pkg/a/a_test.go", "package a\n\n" + function(61), []string{"pkg/a/a_test.go:3 f has 61 lines; 60 is the limit"}},
		{"400 lines", "pkg/a/a.go", "package a" + strings.Repeat("\n", 399), nil},
		{"401 lines", "pkg/a/a.go", "package a" + strings.Repeat("\n", 400) + "//", []string{"pkg/a/a.go has 401 lines; 400 is the limit"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tooLong(parse(t, tt.path, []byte(tt.text)))); diff != "" {
				t.Errorf("tooLong (-want +got):\n%s", diff)
			}
		})
	}
}
