package crash

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// The two generated files, and the variable that makes TestCrash write them.
const (
	callsFile = "calls.txt"
	tableFile = "table.md"
	update    = "PATCHBAY_UPDATE"
)

// tally counts cases, and those that left something behind or failed otherwise.
type tally struct{ cases, failed int }

// row is a line of the table.
type row struct {
	*subject
	kills, signals tally
}

func (r row) name() string { return r.family.Name + " " + r.verb }

// results collects the rows of the table.
type results struct {
	mu   sync.Mutex
	rows []row
}

func (b *results) add(r row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = append(b.rows, r)
}

// parseCalls returns the calls in calls.txt, by verb.
func parseCalls(text string) map[string][]string {
	calls := map[string][]string{}
	verb := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if head, isHead := strings.CutPrefix(line, "## "); isHead {
			verb = head
		} else if verb != "" && line != "" {
			calls[verb] = append(calls[verb], line)
		}
	}
	return calls
}

// formatCalls returns the content of calls.txt: the calls of each verb, sorted, without duplicates.
func formatCalls(rows []row) string {
	calls := map[string][]string{}
	for _, r := range rows {
		calls[r.verb] = append(calls[r.verb], r.calls...)
	}
	var out strings.Builder
	out.WriteString("System calls that change something, by verb, sorted; ONE is the container's ID, VETH its host interface.\n" +
		"Written by TestCrash with " + update + "=1.\n")
	for _, verb := range slices.Sorted(maps.Keys(calls)) {
		slices.Sort(calls[verb])
		fmt.Fprintf(&out, "\n## %s\n%s\n", verb, strings.Join(slices.Compact(calls[verb]), "\n"))
	}
	return out.String()
}

// listed checks that every call is in the list of its verb: a new call has to be added.
func (b *results) listed(t *testing.T, s *subject) {
	t.Helper()
	if os.Getenv(update) != "" {
		return
	}
	known := parseCalls(read(t, callsFile))[s.verb]
	for _, call := range s.calls {
		if !slices.Contains(known, call) {
			t.Errorf("the changing call %q of %s is not in test/faults/crash/%s; if it is meant, run with %s=1", call, s.verb, callsFile, update)
		}
	}
}

// compare compares both files with the results, or writes them. If only some tests ran, it does neither.
func (b *results) compare(t *testing.T) {
	t.Helper()
	if len(b.rows) != subjects() {
		return
	}
	slices.SortFunc(b.rows, func(x, y row) int { return cmp.Compare(x.name(), y.name()) })
	for _, f := range []struct{ name, text string }{{callsFile, formatCalls(b.rows)}, {tableFile, b.table()}} {
		if os.Getenv(update) != "" {
			if err := os.WriteFile(f.name, []byte(f.text), 0o644); err != nil {
				t.Error(err)
			}
		}
		if diff := gocmp.Diff(read(t, f.name), f.text); diff != "" && !t.Failed() {
			t.Errorf("test/faults/crash/%s is out of date; run with %s=1 (-file +seen):\n%s", f.name, update, diff)
		}
	}
}

// table returns the content of table.md.
func (b *results) table() string {
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

| family | verb | changing calls | kill points | kills, each with a recovery | SIGTERMs | leaks |
|---|---|---|---|---|---|---|
`)
	var sum row
	calls, points := 0, 0
	for _, r := range b.rows {
		fmt.Fprintf(&out, "| %s | %s | %d | %d | %d | %d | %d |\n", r.family.Name, r.verb, len(r.calls), len(r.points(false)), r.kills.cases, r.signals.cases, r.kills.failed+r.signals.failed)
		calls += len(r.calls)
		points += len(r.points(false))
		sum.kills.cases += r.kills.cases
		sum.kills.failed += r.kills.failed
		sum.signals.cases += r.signals.cases
		sum.signals.failed += r.signals.failed
	}
	fmt.Fprintf(&out, "| all | | %d | %d | %d | %d | %d |\n", calls, points, sum.kills.cases, sum.signals.cases, sum.kills.failed+sum.signals.failed)
	return out.String()
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCallsFile: formatting the parsed calls.txt returns the same file.
func TestCallsFile(t *testing.T) {
	text := read(t, callsFile)
	var rows []row
	for verb, calls := range parseCalls(text) {
		rows = append(rows, row{subject: &subject{verb: verb, calls: calls}}, row{subject: &subject{verb: verb, calls: calls[:1]}})
	}
	if diff := gocmp.Diff(text, formatCalls(rows)); diff != "" || len(rows) != 6 {
		t.Errorf("%d verbs, want 3 (-file +formatted):\n%s", len(rows)/2, diff)
	}
}
