// Claims checks that every promise of claims.md is kept by a test that ran.
// It never runs a test: it reads the table of promises and the events that gotestsum wrote.
//
//	claims claims.md root.json test.json...
//
// It fails if a named test is missing or failed; one that was skipped, or a part of it, fails when CI is set and is a warning elsewhere.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: claims claims.md events.json...")
		os.Exit(2)
	}
	err := run(os.Stdout, os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "claims:", err)
		os.Exit(1)
	}
}

// run reads the files, judges, and prints what it found. The error counts what is wrong, or says which file could not be read.
func run(out io.Writer, table string, events []string) error {
	text, err := os.ReadFile(table)
	if err != nil {
		return err
	}
	claims, err := parseClaims(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", table, err)
	}
	got := outcomes{}
	for _, path := range events {
		if err := readEvents(got, path); err != nil {
			return err
		}
	}
	return printVerdict(out, claims, judge(claims, got, os.Getenv("CI") != ""))
}

func printVerdict(out io.Writer, claims []claim, found []finding) error {
	wrong, tests := 0, 0
	for _, c := range claims {
		tests += len(c.tests)
	}
	for _, f := range found {
		kind := "warning"
		if f.fatal {
			kind = "error"
			wrong++
		}
		fmt.Fprintf(out, "%s: line %d: %s %s: %s\n", kind, f.claim.line, f.test, f.what, f.claim.text)
	}
	fmt.Fprintf(out, "claims: %d, tests named: %d, not kept: %d\n", len(claims), tests, wrong)
	if wrong > 0 {
		return fmt.Errorf("%d named tests are missing, failed or skipped", wrong)
	}
	return nil
}
