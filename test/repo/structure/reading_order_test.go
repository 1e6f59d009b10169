package structure

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readingOrder returns the files that a package comment lists after "Files, in reading order:"; nil without such a list.
func readingOrder(comment string) []string {
	_, list, found := strings.Cut(comment, "Files, in reading order:")
	if !found {
		return nil
	}
	return regexp.MustCompile(`\w+\.go`).FindAllString(list, -1)
}

// emptyImporter gives every import an empty package: what a file refers to outside of its package does not matter here.
type emptyImporter struct{}

func (emptyImporter) Import(importPath string) (*types.Package, error) {
	name := path.Base(importPath)
	if name == "100" {
		name = "types100"
	}
	return types.NewPackage(importPath, name), nil
}

// arrows returns the pairs of files of one package in which the first refers to a declaration of the second, with the names.
// A method's receiver is no reference: it says what the method belongs to.
func arrows(files []source) map[[2]string][]string {
	parsed, receivers := make([]*ast.File, 0, len(files)), map[*ast.Ident]bool{}
	for _, f := range files {
		parsed = append(parsed, f.file)
		for _, d := range f.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil {
				continue
			}
			ast.Inspect(fn.Recv, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok {
					receivers[id] = true
				}
				return true
			})
		}
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	checker := types.Config{Importer: emptyImporter{}, Error: func(error) {}} // errors are those of the empty packages
	pkg, _ := checker.Check("p", files[0].fset, parsed, info)
	found := map[[2]string][]string{}
	for id, object := range info.Uses {
		if object.Pkg() != pkg || receivers[id] || !isDeclaration(pkg, object) {
			continue
		}
		pair := [2]string{fileOf(files[0].fset, id.Pos()), fileOf(files[0].fset, object.Pos())}
		if pair[0] != pair[1] && !slices.Contains(found[pair], object.Name()) {
			found[pair] = append(found[pair], object.Name())
		}
	}
	return found
}

// isDeclaration reports whether an object is a function, method, type, variable or constant of the package.
func isDeclaration(pkg *types.Package, object types.Object) bool {
	fn, ok := object.(*types.Func)
	return object.Parent() == pkg.Scope() || ok && fn.Signature().Recv() != nil
}

func fileOf(fset *token.FileSet, pos token.Pos) string { return path.Base(fset.Position(pos).Filename) }

// againstOrder returns the arrows that lead to an earlier file, sorted, and what is wrong with the list itself.
func againstOrder(order []string, files []source, all map[[2]string][]string) (against, faults []string) {
	for _, f := range files {
		if name := path.Base(f.path); name != "doc.go" && !slices.Contains(order, name) {
			faults = append(faults, name+" is not in the reading order")
		}
	}
	for _, name := range order {
		if !slices.ContainsFunc(files, func(f source) bool { return path.Base(f.path) == name }) {
			faults = append(faults, name+" is in the reading order and does not exist")
		}
	}
	for pair, names := range all {
		if slices.Index(order, pair[1]) < slices.Index(order, pair[0]) {
			slices.Sort(names)
			against = append(against, fmt.Sprintf("%s -> %s: %s", pair[0], pair[1], strings.Join(names, ", ")))
		}
	}
	slices.Sort(against)
	return against, faults
}

// TestReadingOrder: a package whose comment lists its files in reading order can be read in that order: callers come before what
// they call.
func TestReadingOrder(t *testing.T) {
	const usual = 2
	limits := map[string]int{"pkg/attach": 6} // more references to earlier files than usual
	packages := map[string][]source{}
	for _, f := range sources(t) {
		if strings.HasPrefix(f.path, "pkg/") && !f.isTest() {
			packages[f.dir()] = append(packages[f.dir()], f)
		}
	}
	for dir, files := range packages {
		doc := slices.IndexFunc(files, func(f source) bool { return path.Base(f.path) == "doc.go" && f.file.Doc != nil })
		if doc < 0 {
			continue
		}
		order := readingOrder(files[doc].file.Doc.Text())
		if order == nil {
			continue
		}
		all := arrows(files)
		against, faults := againstOrder(order, files, all)
		t.Logf("%s: %d files, %d references between files, %d against the reading order", dir, len(files), len(all), len(against))
		for _, fault := range faults {
			t.Errorf("%s/doc.go: %s", dir, fault)
		}
		if limit := max(usual, limits[dir]); len(against) > limit {
			t.Errorf("%s: %d references against the reading order, %d is the limit:\n%s", dir, len(against), limit, strings.Join(against, "\n"))
		}
	}
}

func TestAgainstOrderFinds(t *testing.T) {
	file := func(name, text string) source { return parse(t, "pkg/p/"+name, []byte("package p\n"+text)) }
	files := []source{
		file("a.go", "type t struct{}\nfunc (t) m() { call() }"),
		file("b.go", "func call() { t{}.m() }\nfunc (t) n() {}"),
		file("c.go", ""),
	}
	against, faults := againstOrder(readingOrder("Files, in reading order: a.go, b.go,\nd.go.\n"), files, arrows(files))
	if diff := cmp.Diff([]string{"b.go -> a.go: m, t"}, against); diff != "" {
		t.Errorf("against (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"c.go is not in the reading order", "d.go is in the reading order and does not exist"}, faults); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}
