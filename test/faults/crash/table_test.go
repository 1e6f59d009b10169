package crash

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// line is a line of table.md.
type line struct {
	family, verb                          string
	calls, points, kills, signals, failed int
}

func (l line) name() string { return l.family + " " + l.verb }

func (l line) String() string {
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %d |\n", l.family, l.verb, l.calls, l.points, l.kills, l.signals, l.failed)
}

// linesOf returns the lines of rows.
func linesOf(rows []row) (lines []line) {
	for _, r := range rows {
		lines = append(lines, line{r.family.Name, r.verb, len(r.calls), len(r.points(false)), r.kills.cases, r.signals.cases, r.kills.failed + r.signals.failed})
	}
	return lines
}

// parseTable returns the lines of table.md but the last, which has the sums.
func parseTable(text string) (lines []line) {
	for row := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(row), "|")
		if len(cells) != 9 {
			continue
		}
		l := line{family: strings.TrimSpace(cells[1]), verb: strings.TrimSpace(cells[2])}
		if n, _ := fmt.Sscan(strings.Join(cells[3:], " "), &l.calls, &l.points, &l.kills, &l.signals, &l.failed); n == 5 && l.verb != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

// mergeLines returns the lines of known with those of seen in their place.
func mergeLines(known, seen []line) []line {
	known = slices.DeleteFunc(slices.Clone(known), func(k line) bool {
		return slices.ContainsFunc(seen, func(s line) bool { return s.name() == k.name() })
	})
	return append(known, seen...)
}

// formatTable returns the content of table.md.
func formatTable(lines []line) string {
	slices.SortFunc(lines, func(x, y line) int { return cmp.Compare(x.name(), y.name()) })
	var out strings.Builder
	out.WriteString(`# Crashes

Written by ` + "`TestCrash`" + ` with ` + update + `=1. The calls are listed in [calls.txt](calls.txt). The verb is killed with SIGKILL before and after each of them.
Each state that this can leave is followed by four recoveries: a DEL with everything, a DEL with the name only, the verb again (after a DEL: an ADD)
and a DEL, and an ADD of another container and the DEL of both. A state between two calls is produced by a kill after the first call for two of these, and by
a kill before the second for the other two. SIGTERM is sent in each of these states too, followed by one of the four. A leak is anything that the leak oracle finds, or any other failure.

Concurrent calls of two threads (an ADD ends flows while it configures the container, a DEL deletes elements while it deletes links) are listed
one thread after the other; when one of them is killed, the other may be anywhere.

A family that begins with the calls of another is killed from the first different call on. While a delegated IPAM plugin runs, Patchbay alone is killed: the plugin dies with it,
before its next call. The empty address file that the reference host-local v1.9.1 then leaves and never releases is not counted.

A plugin of a chain follows Patchbay's bridge, whose ADD comes before, and whose DEL follows the recovery; or another main plugin, whose interface, addresses and routes must be as
they were. An exception is sbr: as with the reference plugin its DEL does not return routes to the main table, because the main plugin deletes the interface next; so its DEL is followed by a DEL, not an ADD.

| family | verb | changing calls | kill points | kills, each with a recovery | SIGTERMs | leaks |
|---|---|---|---|---|---|---|
`)
	sum := line{family: "all"}
	for _, l := range lines {
		out.WriteString(l.String())
		sum.calls, sum.points, sum.kills, sum.signals, sum.failed = sum.calls+l.calls, sum.points+l.points, sum.kills+l.kills, sum.signals+l.signals, sum.failed+l.failed
	}
	out.WriteString(strings.Replace(sum.String(), "|  |", "| |", 1))
	return out.String()
}

// TestTableFile: formatting the parsed table.md returns the same file, also if one of its lines was seen again.
func TestTableFile(t *testing.T) {
	text := read(t, tableFile)
	lines := parseTable(text)
	if diff := gocmp.Diff(text, formatTable(mergeLines(lines, lines[1:2]))); diff != "" || len(lines) != subjects() {
		t.Errorf("%d lines, want %d (-file +formatted):\n%s", len(lines), subjects(), diff)
	}
}
