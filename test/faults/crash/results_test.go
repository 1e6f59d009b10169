package crash

import (
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

// callsOf returns the calls of the rows, by verb.
func callsOf(rows []row) map[string][]string {
	calls := map[string][]string{}
	for _, r := range rows {
		calls[r.verb] = append(calls[r.verb], r.calls...)
	}
	return calls
}

// formatCalls returns the content of calls.txt: the calls of each verb, sorted, without duplicates.
func formatCalls(calls map[string][]string) string {
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

// compare compares both files with the results, or writes them. If only some tests ran, it compares nothing, and writes their rows and the
// calls that are new.
func (b *results) compare(t *testing.T) {
	t.Helper()
	updating := os.Getenv(update) != ""
	lines, calls := linesOf(b.rows), callsOf(b.rows)
	if len(b.rows) != subjects() {
		if !updating {
			return
		}
		lines = mergeLines(parseTable(read(t, tableFile)), lines)
		for verb, known := range parseCalls(read(t, callsFile)) {
			calls[verb] = append(calls[verb], known...)
		}
	}
	for _, f := range []struct{ name, text string }{{callsFile, formatCalls(calls)}, {tableFile, formatTable(lines)}} {
		if updating {
			if err := os.WriteFile(f.name, []byte(f.text), 0o644); err != nil {
				t.Error(err)
			}
		}
		if diff := gocmp.Diff(read(t, f.name), f.text); diff != "" && !t.Failed() {
			t.Errorf("test/faults/crash/%s is out of date; run with %s=1 (-file +seen):\n%s", f.name, update, diff)
		}
	}
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
	if diff := gocmp.Diff(text, formatCalls(callsOf(rows))); diff != "" || len(rows) != 6 {
		t.Errorf("%d verbs, want 3 (-file +formatted):\n%s", len(rows)/2, diff)
	}
}
