package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/test/kit/page"
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
	ended                   bool // it has run to its end
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

// end notes that a package has run to its end.
func (t *tally) end(name string) {
	for _, c := range t.packages {
		c.ended = c.ended || c.name == name
	}
}

// skips returns the tests that were skipped.
func (t *tally) skips() (all []string) {
	for _, c := range t.packages {
		all = append(all, c.skips...)
	}
	return all
}

const tableHead = "| kernel | release | package | passed | failed | seconds |\n|---|---|---|---|---|---|\n"

// result is a row of the table: the last run of a package on a kernel.
type result struct {
	kernel, release, name   string // "6.12-arm64", and what uname -r says
	passed, failed, seconds int
}

// String returns the row.
func (r result) String() string {
	return fmt.Sprintf("| %s | %s | %s | %d | %d | %d |\n", r.kernel, r.release, r.name, r.passed, r.failed, r.seconds)
}

// parseResult is the inverse of String; a row of a sum, and any other line, is none.
func parseResult(line string) (r result, ok bool) {
	n, _ := fmt.Sscanf(line, "| %s | %s | %s | %d | %d | %d |", &r.kernel, &r.release, &r.name, &r.passed, &r.failed, &r.seconds)
	return r, n == 6 && strings.Contains(r.name, "/")
}

// writeTable writes the rows of the packages that have run to their end into the table of a page.
func (t *tally) writeTable(path, kernel, release string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	out, err := page.Replace(string(text), "results", func(table string) string { return tableHead + format(t.merge(table, kernel, release)) })
	if err != nil {
		return fmt.Errorf("write results: %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(out), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// merge returns the rows of a table with those of the packages that ran, sorted.
func (t *tally) merge(table, kernel, release string) []result {
	all := map[[2]string]result{}
	for line := range strings.Lines(table) {
		if r, ok := parseResult(line); ok {
			all[[2]string{r.kernel, r.name}] = r
		}
	}
	for _, c := range t.packages {
		if c.ended {
			all[[2]string{kernel, c.name}] = result{kernel, release, c.name, c.passed, c.failed, int(math.Ceil(c.seconds))}
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b result) int {
		return cmp.Or(cmp.Compare(a.kernel, b.kernel), cmp.Compare(a.name, b.name))
	})
}

// format returns the rows, with a sum after those of each kernel.
func format(rows []result) string {
	var out strings.Builder
	packages, sum := 0, result{}
	for i, r := range rows {
		out.WriteString(r.String())
		packages++
		sum.passed, sum.failed, sum.seconds = sum.passed+r.passed, sum.failed+r.failed, sum.seconds+r.seconds
		if i == len(rows)-1 || rows[i+1].kernel != r.kernel {
			sum.kernel, sum.name = r.kernel, fmt.Sprintf("%d packages", packages)
			out.WriteString(sum.String())
			packages, sum = 0, result{}
		}
	}
	return out.String()
}
