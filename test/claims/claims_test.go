package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseClaims(t *testing.T) {
	text := strings.Join([]string{
		"# Claims",
		"| word | meaning |",
		"|---|---|",
		"| other | `table` |",
		"",
		"| claim | tests |",
		"|---|:---:|",
		"| DEL twice works | `TestDel`, `TestDel/twice in a row` |",
		`| a \| b | ` + "`TestBar/x|y` |",
		"",
		"text | with | bars",
	}, "\n")
	text = strings.ReplaceAll(text, "x|y", `x\|y`)
	got, err := parseClaims(text)
	if err != nil {
		t.Fatal(err)
	}
	want := []claim{
		{line: 8, text: "DEL twice works", tests: []string{"TestDel", "TestDel/twice_in_a_row"}},
		{line: 9, text: "a | b", tests: []string{"TestBar/x|y"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(claim{})); diff != "" {
		t.Errorf("parseClaims (-want +got):\n%s", diff)
	}
}

func TestParseClaimsRefuses(t *testing.T) {
	const head = "| claim | tests |\n|---|---|\n"
	tests := []struct{ name, text, want string }{
		{"no table", "# Claims\n", "no table with the header | claim | tests |, or no row in it"},
		{"no row", head, "no table with the header | claim | tests |, or no row in it"},
		{"no test", head + "| it works | trust me |\n", "line 3: no test is named in backticks"},
		{"no claim", head + "| | `TestX` |\n", "line 3: the claim is empty"},
		{"three cells", head + "| a | b | `TestX` |\n", "line 3: 3 cells, want 2: claim and tests"},
		{"another name", head + "| a | `TestX`, `make test` |\n", `line 3: "make test" is not the name of a test`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseClaims(tt.text)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	got := outcomes{
		{"p", "TestGood"}: "pass", {"p", "TestGood/a"}: "pass",
		{"p", "TestGoodness"}: "fail",
		{"p", "TestTwice"}:    "pass", {"q", "TestTwice"}: "fail",
		{"p", "TestSkipped"}: "skip",
		{"p", "TestPart"}:    "pass", {"p", "TestPart/v4"}: "pass", {"p", "TestPart/v6"}: "skip",
		{"p", "TestBad"}: "pass", {"p", "TestBad/x"}: "fail", {"p", "TestBad/y"}: "skip",
		{"p", "TestHung"}: "run",
	}
	tests := []struct{ test, want string }{
		{"TestGood", ""},
		{"TestGood/a", ""},
		{"TestGood/b", "did not run: no package has a test of this name"},
		{"TestGoo", "did not run: no package has a test of this name"},
		{"TestTwice", "failed in q"},
		{"TestSkipped", "was skipped"},
		{"TestPart", "was skipped in part (v6)"},
		{"TestPart/v4", ""},
		{"TestPart/v6", "was skipped"},
		{"TestBad", "failed in p"},
		{"TestHung", "did not end in p"},
	}
	for _, tt := range tests {
		t.Run(tt.test, func(t *testing.T) {
			if v := verdict(tt.test, got); v != tt.want {
				t.Errorf("got %q, want %q", v, tt.want)
			}
		})
	}
}

// TestRun goes from files to the printed verdict, with CI set and without.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	passed := `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"x\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"pass","Package":"p"}
`
	skipped := `{"Action":"skip","Package":"q","Test":"TestB"}` + "\n"
	a, b := write("a.json", passed), write("b.json", skipped)
	table := write("claims.md", "| claim | tests |\n|---|---|\n| one | `TestA` |\n| two | `TestB` |\n")

	tests := []struct {
		name, ci string
		events   []string
		out, err string
	}{
		{"skip on a laptop", "", []string{a, b}, "warning: line 4: TestB was skipped: two\nclaims: 2, tests named: 2, not kept: 0\n", ""},
		{"skip in CI", "true", []string{a, b}, "error: line 4: TestB was skipped: two\nclaims: 2, tests named: 2, not kept: 1\n", "1 named tests are missing, failed or skipped"},
		{
			"missing", "",
			[]string{b},
			"error: line 3: TestA did not run: no package has a test of this name: one\nwarning: line 4: TestB was skipped: two\nclaims: 2, tests named: 2, not kept: 1\n",
			"1 named tests are missing, failed or skipped",
		},
		{"no such file", "", []string{filepath.Join(dir, "none")}, "", "open " + dir + "/none: no such file or directory"},
		{"not events", "", []string{table}, "", "read test events " + table + ": invalid character '|' looking for beginning of value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("CI", tt.ci)
			var out strings.Builder
			err := run(&out, table, tt.events)
			if diff := cmp.Diff(tt.out, out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if message := errorText(err); message != tt.err {
				t.Errorf("got error %q, want %q", message, tt.err)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestClaimsFileParses holds the form of the real table, before anything has run.
func TestClaimsFileParses(t *testing.T) {
	text, err := os.ReadFile("../claims.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseClaims(string(text)); err != nil {
		t.Errorf("test/claims.md: %v", err)
	}
}
