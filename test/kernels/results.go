package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// tally counts the tests of each package while it passes their events on.
type tally struct {
	to       io.Writer
	partial  []byte
	packages []*counts
}

// counts are those of one package. Subtests count, as `go test` counts them.
type counts struct {
	name                    string
	passed, failed, skipped int
	seconds                 float64
	skips                   []string
}

// event is what is read of an event of test2json.
type event struct {
	Action, Package, Test string
	Elapsed               float64
}

// Write implements io.Writer.
func (t *tally) Write(p []byte) (int, error) {
	t.partial = append(t.partial, p...)
	for {
		line, rest, whole := bytes.Cut(t.partial, []byte("\n"))
		if !whole {
			return t.to.Write(p)
		}
		t.partial = rest
		var e event
		if json.Unmarshal(line, &e) == nil {
			t.count(e)
		}
	}
}

func (t *tally) count(e event) {
	name := strings.TrimPrefix(e.Package, modulePath)
	i := slices.IndexFunc(t.packages, func(c *counts) bool { return c.name == name })
	if i < 0 {
		i = len(t.packages)
		t.packages = append(t.packages, &counts{name: name})
	}
	c := t.packages[i]
	switch {
	case e.Test == "":
		c.seconds = max(c.seconds, e.Elapsed)
	case e.Action == "pass":
		c.passed++
	case e.Action == "fail":
		c.failed++
	case e.Action == "skip":
		c.skipped++
		c.skips = append(c.skips, c.name+" "+e.Test)
	}
}

// skips returns the tests that were skipped.
func (t *tally) skips() (all []string) {
	for _, c := range t.packages {
		all = append(all, c.skips...)
	}
	return all
}

// The lines of the page around the table of results.
const (
	tableBegin = "<!-- results:begin -->\n"
	tableEnd   = "<!-- results:end -->\n"
	tableHead  = "| kernel | package | passed | failed | seconds |\n|---|---|---|---|---|\n"
)

// writeTable replaces the rows of a kernel in the table of a page.
func (t *tally) writeTable(page, release string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegin)
	table, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		return fmt.Errorf("write results: %s has no table of them", page)
	}
	rows := t.rows(release)
	for line := range strings.Lines(strings.TrimPrefix(table, tableHead)) {
		if !strings.HasPrefix(line, "| "+series(release)+".") {
			rows = append(rows, line)
		}
	}
	slices.Sort(rows)
	out := before + tableBegin + tableHead + strings.Join(rows, "") + tableEnd + after
	if err := os.WriteFile(page, []byte(out), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// rows returns one row a package, and their sum.
func (t *tally) rows(release string) (rows []string) {
	sum := &counts{name: fmt.Sprintf("all %d", len(t.packages))}
	for _, c := range t.packages {
		rows = append(rows, c.row(release))
		sum.passed, sum.failed, sum.seconds = sum.passed+c.passed, sum.failed+c.failed, sum.seconds+c.seconds
	}
	return append(rows, sum.row(release))
}

func (c *counts) row(release string) string {
	return fmt.Sprintf("| %s | %s | %d | %d | %.0f |\n", release, c.name, c.passed, c.failed, math.Ceil(c.seconds))
}

// series returns the first two numbers of a release: "6.12" of 6.12.115+deb12-cloud-amd64.
func series(release string) string {
	parts := strings.SplitN(release, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
