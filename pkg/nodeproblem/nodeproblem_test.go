package nodeproblem

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// constants returns the values of the constants of the package that have the type Kind.
func constants(t *testing.T) (kinds []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "nodeproblem.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, is := n.(*ast.ValueSpec)
		if !is {
			return true
		}
		if kind, named := spec.Type.(*ast.Ident); !named || kind.Name != "Kind" {
			t.Errorf("constant %s has another type", spec.Names[0])
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Error(err)
		}
		kinds = append(kinds, value)
		return true
	})
	return kinds
}

// TestKinds: Kinds has each constant once, and docs/cluster.md has a line for each, in the same order.
//
// Claim: docs/cluster.md lists every kind of problem that patchbay-agent reports, and no other
func TestKinds(t *testing.T) {
	var kinds []string
	for _, k := range append(Kinds(), Other) {
		kinds = append(kinds, string(k))
		if k.Known() != k {
			t.Errorf("%s is not known", k)
		}
	}
	if got := constants(t); !slices.Equal(got, kinds) {
		t.Errorf("constants %q, Kinds %q", got, kinds)
	}
	if Kind("newer").Known() != Other || Kind("").Known() != Other {
		t.Error("an unknown kind is not Other")
	}
	page, err := os.ReadFile("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## Kinds of problems\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var documented []string
	for line := range strings.Lines(table) {
		if name, is := strings.CutPrefix(line, "| `"); is {
			documented = append(documented, name[:strings.Index(name, "`")])
		}
	}
	if !slices.Equal(documented, kinds) {
		t.Errorf("docs/cluster.md has %q,\nKinds are %q", documented, kinds)
	}
}
