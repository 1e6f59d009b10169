package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ident identifies a test: the directory of its package below the repository, and TestX or TestX/subtest.
type ident struct{ dir, name string }

// place is a test that keeps a claim, and where the claim stands.
type place struct {
	ident
	at string // file:line
}

// claim is a sentence and the tests that keep it, in the order of files and lines.
type claim struct {
	text  string
	tests []place
}

// collect reads the claims of every test file below a directory, in the order of files and lines. Claims with the same text are one.
func collect(repository string) ([]claim, error) {
	var claims []claim
	index := map[string]int{}
	err := filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != repository && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "bin" || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		relative, err := filepath.Rel(repository, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found, err := parseFile(filepath.ToSlash(relative), text)
		for _, f := range found {
			i, known := index[f.text]
			if !known {
				i = len(claims)
				index[f.text] = i
				claims = append(claims, claim{text: f.text})
			}
			claims[i].tests = append(claims[i].tests, f.tests...)
		}
		return err
	})
	return claims, err
}

// parseFile returns the claims of one file. A claim that does not belong to a test, or is malformed, is an error.
func parseFile(path string, text []byte) ([]claim, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	owner := map[*ast.CommentGroup]string{}
	if strings.HasSuffix(path, "_test.go") {
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Doc != nil && regexp.MustCompile(`^(Test|Fuzz|Example)`).MatchString(fn.Name.Name) {
				owner[fn.Doc] = fn.Name.Name
			}
		}
	}
	var all []claim
	for _, group := range file.Comments {
		found, err := parseComment(group, fset)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if owner[group] == "" {
				return nil, fmt.Errorf("%s: a claim must be in the doc comment of a test: %s", f.at, f.text)
			}
			c := claim{text: f.text}
			for _, sub := range f.subtests {
				// The go tool writes the spaces of a subtest's name as underscores.
				name := strings.TrimSuffix(owner[group]+"/"+strings.ReplaceAll(sub, " ", "_"), "/")
				c.tests = append(c.tests, place{ident{filepath.ToSlash(filepath.Dir(path)), name}, f.at})
			}
			if slices.ContainsFunc(all, func(x claim) bool { return x.text == c.text && x.tests[0].name == c.tests[0].name }) {
				return nil, fmt.Errorf("%s: the claim stands twice above %s", f.at, owner[group])
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// line is one claim of a comment; subtests is one empty name for the whole test.
type line struct {
	text, at string
	subtests []string
}

// parseComment returns the claims of a comment. A claim ends at an empty line, at the next claim, or with the comment.
func parseComment(group *ast.CommentGroup, fset *token.FileSet) ([]line, error) {
	var found []line
	inside := false
	for _, c := range group.List {
		text, isLine := strings.CutPrefix(c.Text, "//")
		text = strings.TrimSpace(text)
		p := fset.Position(c.Pos())
		head := regexp.MustCompile(`^Claim(/[^:]*)?:(.*)$`).FindStringSubmatch(text)
		switch {
		case !isLine || text == "":
			inside = false
		case head != nil:
			inside = true
			at := fmt.Sprintf("%s:%d", p.Filename, p.Line)
			if head[2] = strings.TrimSpace(head[2]); head[2] == "" {
				return nil, fmt.Errorf("%s: the claim is empty", at)
			}
			found = append(found, line{head[2], at, strings.Split(strings.TrimPrefix(head[1], "/"), ",")})
		case inside:
			found[len(found)-1].text += " " + text
		}
	}
	return found, nil
}
