package readme

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ConfigKeys returns the names of the keys that the package in dir reads from a configuration: the
// string literals that are passed as key to its methods that take a section and a key.
func ConfigKeys(dir string) ([]string, error) {
	files, err := parseDir(dir)
	if err != nil {
		return nil, err
	}
	readers := map[string]int{"raw": 0} // of a section; by name, the index of the argument that is the key
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && takesSectionAndKey(fn) {
				readers[fn.Name.Name] = 1
			}
		}
	}
	var keys []string
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if key := keyOf(call, readers); key != "" {
				keys = append(keys, key)
			}
			return true
		})
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

func parseDir(dir string) ([]*ast.File, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// takesSectionAndKey reports whether the first two parameters are of the types section and string.
func takesSectionAndKey(fn *ast.FuncDecl) bool {
	var types []string
	for _, field := range fn.Type.Params.List {
		name, _ := field.Type.(*ast.Ident)
		for range max(1, len(field.Names)) {
			if name == nil {
				types = append(types, "")
				continue
			}
			types = append(types, name.Name)
		}
	}
	return fn.Recv != nil && len(types) >= 2 && types[0] == "section" && types[1] == "string"
}

func keyOf(call *ast.CallExpr, readers map[string]int) string {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	at, ok := readers[method.Sel.Name]
	if !ok || len(call.Args) <= at {
		return ""
	}
	literal, ok := call.Args[at].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	key, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return key
}
