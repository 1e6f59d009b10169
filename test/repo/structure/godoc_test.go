package structure

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// notVerbFirst lists exported functions and methods whose comment is missing or does not begin with the name and a verb: "List returns ...".
// Linters check the name alone.
func notVerbFirst(f source) []string {
	if f.isTest() {
		return nil
	}
	var bad []string
	for _, d := range f.file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || !fn.Name.IsExported() {
			continue
		}
		words := strings.Fields(fn.Doc.Text())
		switch {
		case len(words) < 2 && fn.Recv != nil:
			continue // String, Error and Unwrap need none
		case len(words) < 2 || words[0] != fn.Name.Name || !isVerb(words[1]):
			bad = append(bad, fmt.Sprintf("%s:%d: the comment of %s does not begin with %q and a verb", f.path, f.line(fn.Pos()), fn.Name.Name, fn.Name.Name))
		}
	}
	return bad
}

// isVerb reports whether a word can be a verb of the third person.
func isVerb(word string) bool {
	word = strings.Trim(word, ",.:;")
	return strings.HasSuffix(word, "s") && !slices.Contains([]string{"is", "was", "as", "this", "its", "has"}, word)
}

// Claim: Comments of exported functions begin with the name and a verb
func TestGodocForms(t *testing.T) {
	for _, f := range sources(t) {
		if !strings.HasPrefix(f.path, "test/") {
			report(t, notVerbFirst(f))
		}
	}
}

// Claim: Comments of exported functions begin with the name and a verb
func TestNotVerbFirstFinds(t *testing.T) {
	const text = `package a

// List are the attachments.
func List() {}

// Close closes it.
func Close() {}

// Plugs the link.
func Plug() {}

func Bare() {}

func (T) Error() string { return "" }

// Name is the name.
func (T) Name() {}

// hidden is not exported.
func hidden() {}
`
	want := []string{
		`pkg/a/a.go:4: the comment of List does not begin with "List" and a verb`,
		`pkg/a/a.go:10: the comment of Plug does not begin with "Plug" and a verb`,
		`pkg/a/a.go:12: the comment of Bare does not begin with "Bare" and a verb`,
		`pkg/a/a.go:17: the comment of Name does not begin with "Name" and a verb`,
	}
	if diff := cmp.Diff(want, notVerbFirst(parse(t, "pkg/a/a.go", []byte(text)))); diff != "" {
		t.Errorf("notVerbFirst (-want +got):\n%s", diff)
	}
}
