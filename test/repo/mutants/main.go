// Mutants checks the patches of test/repo/mutants, each of which breaks one promise of the code: that a patch applies to the tree as it is,
// that its head names the promise and one existing test, and that it changes code of the plugin only. It runs no test.
//
//	mutants REPOSITORY PATCH...
//
// `make mutants` runs it first. No test runs it: a patch that no longer applies must not stop a change of the code.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: mutants REPOSITORY PATCH...")
		os.Exit(2)
	}
	found, err := faults(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
	for _, fault := range found {
		fmt.Println(fault)
	}
	if len(found) > 0 {
		fmt.Fprintf(os.Stderr, "mutants: %d faults in %d patches\n", len(found), len(os.Args[2:]))
		os.Exit(1)
	}
}

// faults lists what is wrong with the patches. The error says which file could not be read.
func faults(repository string, patches []string) ([]string, error) {
	tests, err := testNames(repository)
	if err != nil {
		return nil, err
	}
	var bad []string
	for _, path := range patches {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(path)
		bad = append(bad, headFaults(name, string(text), tests)...)
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		apply := exec.Command("git", "apply", "--check", path)
		apply.Dir = repository
		if out, err := apply.CombinedOutput(); err != nil {
			bad = append(bad, fmt.Sprintf("%s does not apply (%v); make it again:\n%s", name, err, out))
		}
	}
	return bad, nil
}

// testNames returns the functions of all test files, as "directory TestX".
func testNames(repository string) (map[string]bool, error) {
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	names := map[string]bool{}
	err := filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != repository && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(repository, filepath.Dir(path))
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			names[filepath.ToSlash(dir)+" "+m[1]] = true
		}
		return err
	})
	return names, err
}

// headFaults lists what is wrong with the head of a patch and with the files that it changes. A test in tests is "directory TestX".
func headFaults(name, text string, tests map[string]bool) []string {
	head, _, _ := strings.Cut(text, "\n--- ")
	var bad []string
	if !regexp.MustCompile(`(?m)^Promise: \S`).MatchString(head) {
		bad = append(bad, name+" names no promise: add a line `Promise: ...` before the first file")
	}
	red := regexp.MustCompile(`(?m)^Red: (\S+ Test[^\s/]+)(/\S+)?$`).FindAllStringSubmatch(head, -1)
	if len(red) != 1 {
		bad = append(bad, name+" needs one line `Red: <directory> TestX` or `Red: <directory> TestX/subtest` before the first file")
	}
	for _, m := range red {
		if !tests[m[1]] {
			bad = append(bad, fmt.Sprintf("%s names %s; no such test exists", name, m[1]))
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\+\+\+ b/(\S+)`).FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(m[1], "pkg/") && !strings.HasPrefix(m[1], "plugins/") || strings.HasSuffix(m[1], "_test.go") {
			bad = append(bad, fmt.Sprintf("%s changes %s, which is not code of the plugin", name, m[1]))
		}
	}
	return bad
}
