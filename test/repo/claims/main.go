// Claims checks that every promise of the project is kept by a test that ran. A promise is a line `// Claim: ...` in the doc comment of
// a test; `// Claim/subtest: ...` names one subtest, or several with commas between them. It runs no test: it reads the sources and the
// events that gotestsum wrote.
//
//	claims [-all] [-sampled DIRECTORY,...] REPOSITORY EVENTS.json...
//	claims -page REPOSITORY
//
// It fails if the test of a claim is missing or failed; one that was skipped, or a part of it, fails if CI is set and is a warning elsewhere.
// Without -all, claims of packages that did not run are counted only. So are, also with -all, those of the packages of -sampled, of which a part
// or nothing ran; DIRECTORY/... means a directory and all below it.
// With -page it prints test/claims.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	all := flag.Bool("all", false, "every test of a claim must have run")
	sampled := flag.String("sampled", "", "comma-separated directories of which only a part ran, or nothing")
	printPage := flag.Bool("page", false, "print test/claims.md")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: claims [-all] [-sampled DIRECTORY,...] REPOSITORY EVENTS.json...\n       claims -page REPOSITORY")
	}
	flag.Parse()
	if flag.NArg() < 1 || *printPage != (flag.NArg() == 1) {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdout, options{all: *all, page: *printPage, sampled: strings.Split(*sampled, ","), ci: os.Getenv("CI") != ""}, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "claims:", err)
		os.Exit(1)
	}
}

// options are the flags, and whether CI is set.
type options struct {
	all, page, ci bool
	sampled       []string
}

// run reads the sources in args[0] and the events in the other files, and prints what is wrong, or the page.
func run(out io.Writer, o options, args []string) error {
	claims, err := collect(args[0])
	if err != nil {
		return err
	}
	if o.page {
		_, err := io.WriteString(out, page(claims))
		return err
	}
	got := outcomes{}
	for _, path := range args[1:] {
		if err := readEvents(got, path); err != nil {
			return err
		}
	}
	return printFindings(out, claims, check(claims, got, o))
}

// printFindings prints one line per finding and a summary. The error counts the findings that are errors.
func printFindings(out io.Writer, claims []claim, found []finding) error {
	wrong, later, tests := 0, 0, 0
	for _, c := range claims {
		tests += len(c.tests)
	}
	for _, f := range found {
		switch f.kind {
		case left:
			later++
			continue
		case failed:
			wrong++
		}
		fmt.Fprintf(out, "%s: %s: %s %s: %s\n", f.kind, f.test.at, f.test.name, f.what, f.claim.text)
	}
	fmt.Fprintf(out, "claims: %d, tests named: %d, not kept: %d", len(claims), tests, wrong)
	if later > 0 {
		fmt.Fprintf(out, ", not in this run: %d", later)
	}
	fmt.Fprintln(out)
	if wrong > 0 {
		return fmt.Errorf("%d tests of claims are missing, failed or skipped", wrong)
	}
	if len(claims) == 0 {
		return errors.New("no claim found")
	}
	return nil
}
