package parity

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The generated page, and the variable that makes TestParity write it.
const (
	tableFile = "table.md"
	update    = "PATCHBAY_UPDATE"
)

// line is a row of the table.
type line struct {
	row
	ours facts
	used []string
}

// results collects the lines.
type results struct {
	mu    sync.Mutex
	lines map[string]line
}

func (b *results) add(l line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lines == nil {
		b.lines = map[string]line{}
	}
	b.lines[l.name] = l
}

// compareTable checks that every allowance is used, and compares table.md with the results or writes it. If only some rows ran, it does nothing.
func (b *results) compareTable(t *testing.T, rows []row) {
	t.Helper()
	if len(b.lines) != len(rows) {
		return
	}
	for _, a := range allowances() {
		if b.users(a.name) == 0 {
			t.Errorf("%q may differ (%s), but no row uses it: remove it from the list", a.name, a.reason)
		}
	}
	text := b.table(rows)
	if os.Getenv(update) != "" {
		if err := os.WriteFile(tableFile, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
	want, err := os.ReadFile(tableFile)
	if diff := cmp.Diff(string(want), text); (diff != "" || err != nil) && !t.Failed() {
		t.Errorf("test/repo/parity/%s differs from the results (%v); run with %s=1 (-file +seen):\n%s", tableFile, err, update, diff)
	}
}

func (b *results) users(allowance string) (n int) {
	for _, l := range b.lines {
		if slices.Contains(l.used, allowance) {
			n++
		}
	}
	return n
}

func (b *results) table(rows []row) string {
	var out strings.Builder
	fmt.Fprintf(&out, `# Parity with the reference bridge and host-local

Written by `+"`TestParity`"+` with %s=1. Each row is a network that the reference plugins v1.9.1 run on one host and Patchbay on another of the same
shape, through libcni, with the two words `+"`type`"+` changed and nothing else. Compared are, of two containers one after the other: the results of ADD;
in the container and on the host, after each ADD and each DEL, links with flags, MTU, group, queues and txqueuelen, bridge and port settings, addresses with
flags, scope and broadcast, routes of all tables with metric, scope, mtu and advmss; sysctls that are not a new namespace's; address files and round
robin; what CHECK says; what is left after both DELs; and, with masquerade, whose address the outside, the host and a neighbour see, and rules that are left.

## What may differ

| difference | why | rows |
|---|---|---|
`, update)
	for _, a := range allowances() {
		rows := fmt.Sprint(b.users(a.name))
		if a.chance {
			rows = "by chance"
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", a.name, a.reason, rows)
	}
	common := b.everywhere(rows)
	fmt.Fprintf(&out, "\n## Rows\n\nIn every row that has them: %s. A row lists its other differences, except those that depend on random MACs of the reference's ports.\n\n| network | ADD, CHECK, DEL | differs in |\n|---|---|---|\n", strings.Join(common, ", "))
	for _, r := range rows {
		l := b.lines[r.name]
		rest := slices.DeleteFunc(slices.Clone(l.used), func(name string) bool { return slices.Contains(common, name) || byChance(name) })
		fmt.Fprintf(&out, "| %s | %s | %s |\n", r.name, l.verbs(), strings.Join(rest, ", "))
	}
	return out.String()
}

func byChance(name string) bool {
	return slices.ContainsFunc(allowances(), func(a allowance) bool { return a.chance && a.name == name })
}

// everywhere returns the allowances that more than half of the rows use.
func (b *results) everywhere(rows []row) (names []string) {
	for _, a := range allowances() {
		if b.users(a.name) > len(rows)/2 {
			names = append(names, a.name)
		}
	}
	return names
}

// verbs returns the outcome of Patchbay's verbs for the first container, and for the second if that differs.
func (l line) verbs() string {
	answers := func(container string) string {
		var out []string
		for _, verb := range []string{"ADD", "CHECK", "DEL"} {
			answer := strings.SplitN(l.ours[verb+" "+container], ":", 2)[0]
			if strings.Contains(l.ours[verb+" "+container], "does not support the CHECK command") {
				answer = "-" // libcni calls no plugin
			}
			out = append(out, answer)
		}
		return strings.Join(out, ", ")
	}
	if one, two := answers("one"), answers("two"); one != two {
		return one + "; of the second " + two
	}
	return answers("one")
}
