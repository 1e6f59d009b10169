package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseFile(t *testing.T) {
	const text = `package p

// TestA says something.
//
// Claim: one line
// Claim/a b,c: two
// lines
//
// and prose
func TestA() {}

// helper has no claim.
func helper() {}

/* Claim: not a line comment */

// Claim: one line
func FuzzB() {}
`
	got, err := parseFile("test/p/a_test.go", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []claim{
		{"one line", []place{{ident{"test/p", "TestA"}, "test/p/a_test.go:5"}}},
		{"two lines", []place{{ident{"test/p", "TestA/a_b"}, "test/p/a_test.go:6"}, {ident{"test/p", "TestA/c"}, "test/p/a_test.go:6"}}},
		{"one line", []place{{ident{"test/p", "FuzzB"}, "test/p/a_test.go:17"}}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(claim{}, place{}, ident{})); diff != "" {
		t.Errorf("parseFile (-want +got):\n%s", diff)
	}
}

func TestParseFileRefuses(t *testing.T) {
	tests := []struct{ name, path, text, want string }{
		{"a claim above a type", "p/a_test.go", "// Claim: x\ntype A int\n", "p/a_test.go:2: a claim must be in the doc comment of a test: x"},
		{"a detached claim", "p/a_test.go", "// Claim: x\n\nfunc TestA() {}\n", "p/a_test.go:2: a claim must be in the doc comment of a test: x"},
		{"a claim above a helper", "p/a_test.go", "// Claim: x\nfunc a() {}\n", "p/a_test.go:2: a claim must be in the doc comment of a test: x"},
		{"a claim inside a function", "p/a_test.go", "func TestA() {\n\t// Claim: x\n}\n", "p/a_test.go:3: a claim must be in the doc comment of a test: x"},
		{"a claim outside of tests", "p/a.go", "// Claim: x\nfunc TestA() {}\n", "p/a.go:2: a claim must be in the doc comment of a test: x"},
		{"an empty claim", "p/a_test.go", "// Claim:\nfunc TestA() {}\n", "p/a_test.go:2: the claim is empty"},
		{"one claim twice", "p/a_test.go", "// Claim: x\n// Claim: x\nfunc TestA() {}\n", "p/a_test.go:3: the claim stands twice above TestA"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseFile(tt.path, []byte("package p\n"+tt.text))
			if errorText(err) != tt.want {
				t.Errorf("got error %v, want %s", err, tt.want)
			}
		})
	}
}

// TestClaimsPage compares test/claims.md with the page of the sources; with PATCHBAY_UPDATE=1 it writes the file.
//
// Claim: A claim whose test did not run is a failure
func TestClaimsPage(t *testing.T) {
	const path = "../../claims.md"
	claims, err := collect("../../..")
	if err != nil {
		t.Fatal(err)
	}
	want := page(claims)
	if os.Getenv("PATCHBAY_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("test/claims.md is out of date; PATCHBAY_UPDATE=1 writes it (-want +got):\n%s", diff)
	}
}

func TestPageOfSmallSources(t *testing.T) {
	claims := []claim{
		{"a | b", []place{{ident{"pkg/a", "TestA"}, ""}, {ident{"test/b", "TestB/x|y"}, ""}}},
		{"c", []place{{ident{"pkg/a", "TestC"}, ""}}},
	}
	const want = head + "\n## test/b\n\n| claim | tests |\n|---|---|\n| a \\| b | `pkg/a TestA`, `TestB/x\\|y` |\n" +
		"\n## pkg/a\n\n| claim | tests |\n|---|---|\n| c | `TestC` |\n"
	if diff := cmp.Diff(want, page(claims)); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
}
