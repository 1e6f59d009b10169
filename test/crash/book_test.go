package crash

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// The two files of the harness, and the variable that has them written.
const (
	callsFile = "calls.txt"
	tableFile = "table.md"
	update    = "PATCHBAY_UPDATE"
)

// tally is how many cases ran, and how many left something or failed otherwise.
type tally struct{ cases, failed int }

// row is a line of the table.
type row struct {
	*subject
	kills, signals tally
}

func (r row) name() string { return r.family.Name + " " + r.verb }

// book collects what the table and the list are made of.
type book struct {
	mu   sync.Mutex
	rows []row
}

func (b *book) add(r row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = append(b.rows, r)
}

// section is a part of the list of calls.
func (s *subject) section() string {
	var out strings.Builder
	fmt.Fprintf(&out, "## %s %s\n", s.family.Name, s.verb)
	for i, call := range s.calls {
		fmt.Fprintf(&out, "%3d %s\n", i+1, call)
	}
	return out.String()
}

// listed wants the calls to be those of the list: a new one has to get its row.
func (b *book) listed(t *testing.T, s *subject) {
	t.Helper()
	if os.Getenv(update) != "" {
		return
	}
	want := ""
	for section := range strings.SplitSeq(read(t, callsFile), "\n\n") {
		if strings.HasPrefix(section, "## "+s.family.Name+" "+s.verb+"\n") {
			want = strings.TrimSuffix(section, "\n") + "\n"
		}
	}
	if diff := gocmp.Diff(want, s.section()); diff != "" {
		t.Errorf("the changing calls are not those of test/crash/%s; if that is meant, run with %s=1 (-listed +made):\n%s", callsFile, update, diff)
	}
}

// compare holds both files against what was seen, or writes them. Of a part of the tests it
// knows too little for either.
func (b *book) compare(t *testing.T) {
	t.Helper()
	if len(b.rows) != subjects() {
		return
	}
	slices.SortFunc(b.rows, func(x, y row) int { return cmp.Compare(x.name(), y.name()) })
	var calls []string
	for _, r := range b.rows {
		calls = append(calls, r.section())
	}
	list := "Every system call of a verb that changes something, in order; ONE is the container's ID, VETH its host link.\n" +
		"Written by TestCrash with " + update + "=1.\n\n" + strings.Join(calls, "\n")
	for _, f := range []struct{ name, text string }{{callsFile, list}, {tableFile, b.table()}} {
		if os.Getenv(update) != "" {
			if err := os.WriteFile(f.name, []byte(f.text), 0o644); err != nil {
				t.Error(err)
			}
		}
		if diff := gocmp.Diff(read(t, f.name), f.text); diff != "" && !t.Failed() {
			t.Errorf("test/crash/%s is not what was seen; run with %s=1 (-there +seen):\n%s", f.name, update, diff)
		}
	}
}

// table has a row for each verb of each family.
func (b *book) table() string {
	var out strings.Builder
	out.WriteString(`# Crashes

Written by ` + "`TestCrash`" + ` with ` + update + `=1. The calls are listed in [calls.txt](calls.txt). The verb dies by SIGKILL before and behind each of them,
and each state that this can leave is recovered from by a DEL with everything, a DEL with nothing but the name, the verb again (after a DEL: an ADD)
and a DEL, and the next container's ADD and the DEL of both. A state between two calls is met behind the one by two of these, and before the other
by the other two. SIGTERM comes in each of these states: an ADD is undone or has a result, a DEL finishes. A leak is whatever the attachment oracle finds, or any other failure.

What two threads do at one time (an ADD ends flows while it configures the container, a DEL takes elements away while links go) is listed
one thread after the other; where one of them is met, the other may be anywhere.

A family that begins as another does is met where it is different. While another IPAM plugin works, what is killed is Patchbay alone: the plugin dies with it,
before the call that it was about to make. What the reference host-local v1.9.1 then leaves, the empty file of an address that it never frees, is not counted.

| family | verb | changing calls | kill points | deaths, each with a recovery | SIGTERMs | leaks |
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
