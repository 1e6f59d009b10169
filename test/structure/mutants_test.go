package structure

import (
	"fmt"
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mutantFaults names what is wrong with a patch of test/mutants: it says which promise it breaks and which test goes red then, and
// it breaks code, not tests. A name of a test is "room TestX" here.
func mutantFaults(path, text string, tests map[string]bool) []string {
	head, _, _ := strings.Cut(text, "\n--- ")
	var bad []string
	if !regexp.MustCompile(`(?m)^Promise: \S`).MatchString(head) {
		bad = append(bad, path+" names no promise: it has no line `Promise: ...` before the first file")
	}
	red := regexp.MustCompile(`(?m)^Red: (\S+ Test[^\s/]+)(/\S+)?$`).FindAllStringSubmatch(head, -1)
	if len(red) != 1 {
		bad = append(bad, path+" needs one line `Red: <room> TestX` or `Red: <room> TestX/subtest` before the first file")
	}
	for _, m := range red {
		if !tests[m[1]] {
			bad = append(bad, fmt.Sprintf("%s names %s, and there is no such test", path, m[1]))
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\+\+\+ b/(\S+)`).FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(m[1], "pkg/") && !strings.HasPrefix(m[1], "plugins/") || strings.HasSuffix(m[1], "_test.go") {
			bad = append(bad, fmt.Sprintf("%s changes %s, which is no code of the plugin", path, m[1]))
		}
	}
	return bad
}

// testNames are the functions of all test files, as "room TestX".
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, f := range sources(t) {
		if !f.isTest() {
			continue
		}
		for _, d := range f.file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[f.dir()+" "+fn.Name.Name] = true
			}
		}
	}
	return names
}

// TestMutantsApply: each patch is about the code as it is now. Whether its test goes red is for `make mutants` to see.
func TestMutantsApply(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(top(t), "test", "mutants", "*.patch"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 20 {
		t.Fatalf("found only %d mutants", len(paths))
	}
	tests := testNames(t)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		report(t, mutantFaults(name, string(text), tests))
		apply := exec.Command("git", "apply", "--check", path)
		apply.Dir = top(t)
		if out, err := apply.CombinedOutput(); err != nil {
			t.Errorf("%s does not apply any more (%v); make it anew:\n%s", name, err, out)
		}
	}
}

func TestMutantFaultsFinds(t *testing.T) {
	const file = "\n--- a/pkg/a/a.go\n+++ b/pkg/a/a.go\n@@ -1 +1 @@\n-a\n+b\n"
	tests := []struct {
		name, text string
		want       []string
	}{
		{"a good one", "Promise: p\nRed: pkg/a TestA\n" + file, nil},
		{"a subtest", "Promise: p\nRed: pkg/a TestA/b_c\n" + file, nil},
		{"no promise", "Red: pkg/a TestA\n" + file, []string{"x names no promise: it has no line `Promise: ...` before the first file"}},
		{"no test", "Promise: p\n" + file, []string{"x needs one line `Red: <room> TestX` or `Red: <room> TestX/subtest` before the first file"}},
		{"two tests", "Promise: p\nRed: pkg/a TestA\nRed: pkg/a TestA\n" + file, []string{"x needs one line `Red: <room> TestX` or `Red: <room> TestX/subtest` before the first file"}},
		{"a test that is gone", "Promise: p\nRed: pkg/a TestB\n" + file, []string{"x names pkg/a TestB, and there is no such test"}},
		{"a test of another room", "Promise: p\nRed: test/a TestA\n" + file, []string{"x names test/a TestA, and there is no such test"}},
		{"it changes a test", "Promise: p\nRed: pkg/a TestA\n" + strings.ReplaceAll(file, "a.go", "a_test.go"), []string{"x changes pkg/a/a_test.go, which is no code of the plugin"}},
		{"it changes a script", "Promise: p\nRed: pkg/a TestA\n" + strings.ReplaceAll(file, "pkg/a/a.go", "scripts/a.sh"), []string{"x changes scripts/a.sh, which is no code of the plugin"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := mutantFaults("x", tt.text, map[string]bool{"pkg/a TestA": true})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("mutantFaults (-want +got):\n%s", diff)
			}
		})
	}
}
