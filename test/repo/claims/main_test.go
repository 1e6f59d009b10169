package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Claim: A claim whose test did not run is a failure
func TestProblem(t *testing.T) {
	got := outcomes{
		{"p", "TestGood"}: "pass", {"p", "TestGood/a"}: "pass",
		{"p", "TestGoodness"}: "fail",
		{"p", "TestTwice"}:    "pass", {"q", "TestTwice"}: "fail",
		{"p", "TestSkipped"}: "skip",
		{"p", "TestPart"}:    "pass", {"p", "TestPart/v4"}: "pass", {"p", "TestPart/v6"}: "skip",
		{"p", "TestBad"}: "pass", {"p", "TestBad/x"}: "fail", {"p", "TestBad/y"}: "skip",
		{"p", "TestHung"}: "run",
	}
	tests := []struct{ dir, test, want string }{
		{"p", "TestGood", ""},
		{"p", "TestGood/a", ""},
		{"p", "TestGood/b", "did not run"},
		{"q", "TestGood", "did not run"},
		{"p", "TestGoo", "did not run"},
		{"p", "TestTwice", ""},
		{"q", "TestTwice", "failed"},
		{"p", "TestSkipped", "was skipped"},
		{"p", "TestPart", "was skipped in part (v6)"},
		{"p", "TestPart/v4", ""},
		{"p", "TestPart/v6", "was skipped"},
		{"p", "TestBad", "failed"},
		{"p", "TestHung", "did not end"},
	}
	for _, tt := range tests {
		t.Run(tt.dir+" "+tt.test, func(t *testing.T) {
			if what := problem(ident{tt.dir, tt.test}, got); what != tt.want {
				t.Errorf("got %q, want %q", what, tt.want)
			}
		})
	}
}

// A failure in one file of events is not undone by a pass in another; a skip and a test that did not end are.
func TestDecodeEventsKeepsFailures(t *testing.T) {
	got := outcomes{}
	for _, events := range []string{
		`{"Action":"fail","Package":"p","Test":"TestA"}{"Action":"skip","Package":"p","Test":"TestB"}{"Action":"run","Package":"p","Test":"TestC"}`,
		`{"Action":"run","Package":"p","Test":"TestA"}{"Action":"pass","Package":"p","Test":"TestA"}{"Action":"pass","Package":"p","Test":"TestB"}` +
			`{"Action":"pass","Package":"p","Test":"TestC"}{"Action":"pass","Package":"p"}`,
	} {
		if err := decodeEvents(got, strings.NewReader(events)); err != nil {
			t.Fatal(err)
		}
	}
	want := outcomes{{"p", "TestA"}: "fail", {"p", "TestB"}: "pass", {"p", "TestC"}: "pass"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

// TestRun checks a small repository: what is printed, with CI set and without, for all packages and for some.
//
// Claim: A claim whose test did not run is a failure
func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("r/p/a_test.go", "package p\n\n// Claim: one\nfunc TestA() {}\n\n// Claim: two\nfunc TestB() {}\n")
	write("r/q/a_test.go", "package q\n\n// Claim: two\nfunc TestB() {}\n")
	const pass = `{"Action":"run","Package":"` + module + `p","Test":"TestA"}{"Action":"pass","Package":"` + module + `p","Test":"TestA"}`
	a := write("a.json", pass+`{"Action":"skip","Package":"`+module+`p","Test":"TestB"}`)
	part := write("part.json", pass)
	failing := write("failing.json", strings.ReplaceAll(pass, `"pass"`, `"fail"`))
	b := write("b.json", `{"Action":"pass","Package":"`+module+`q","Test":"TestB"}`)
	bad := write("bad.json", "| no events |")

	const summary = "claims: 2, tests named: 3, not kept: "
	tests := []struct {
		name     string
		options  options
		events   []string
		out, err string
	}{
		{"a skip on a laptop", options{all: true}, []string{a, b}, "warning: p/a_test.go:6: TestB was skipped: two\n" + summary + "0\n", ""},
		{"a skip in CI", options{all: true, ci: true}, []string{a, b}, "error: p/a_test.go:6: TestB was skipped: two\n" + summary + "1\n", "1 tests of claims are missing, failed or skipped"},
		{"a test that did not run", options{}, []string{part}, "error: p/a_test.go:6: TestB did not run: two\n" + summary + "1, not in this run: 1\n", "1 tests of claims are missing, failed or skipped"},
		{"a sampled package", options{sampled: []string{"p"}}, []string{part}, summary + "0, not in this run: 3\n", ""},
		{"a sampled tree", options{all: true, sampled: []string{"q/...", "p"}}, nil, summary + "0, not in this run: 3\n", ""},
		{"a failure in a sampled package", options{sampled: []string{"p"}}, []string{failing}, "error: p/a_test.go:3: TestA failed: one\n" + summary + "1, not in this run: 2\n", "1 tests of claims are missing, failed or skipped"},
		{"a package that did not run", options{all: true}, []string{part, a}, "warning: p/a_test.go:6: TestB was skipped: two\nerror: q/a_test.go:3: TestB did not run: two\n" + summary + "1\n", "1 tests of claims are missing, failed or skipped"},
		{"no such file", options{}, []string{filepath.Join(dir, "none")}, "", "open " + dir + "/none: no such file or directory"},
		{"not events", options{}, []string{bad}, "", "read test events " + bad + ": invalid character '|' looking for beginning of value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := run(&out, tt.options, append([]string{filepath.Join(dir, "r")}, tt.events...))
			if diff := cmp.Diff(tt.out, out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if message := errorText(err); message != tt.err {
				t.Errorf("got error %q, want %q", message, tt.err)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	for pattern, want := range map[string][4]bool{"p": {true, false, false, false}, "p/...": {true, true, true, false}, "": {}} {
		for i, dir := range []string{"p", "p/a", "p/a/b", "pq"} {
			if got := matches(pattern, dir); got != want[i] {
				t.Errorf("matches(%q, %q): got %v", pattern, dir, got)
			}
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
