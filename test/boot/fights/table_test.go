package fights

import (
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// page has the table.
const page = "../../../docs/services.md"

// table is held while the page is changed.
var table sync.Mutex

// compareLine compares the line of a row in the page, but for the time, which is written with PATCHBAY_UPDATE.
func compareLine(t *testing.T, r row, restored string) {
	t.Helper()
	table.Lock()
	defer table.Unlock()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "| "+r.name+" |") })
	if at < 0 {
		t.Fatalf("the table has no line of %q", r.name)
	}
	if os.Getenv("PATCHBAY_UPDATE") != "" {
		lines[at] = r.line(restored)
		if err := os.WriteFile(page, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := r.line(""); !strings.HasPrefix(lines[at], strings.TrimSuffix(want, "  |")) {
		t.Errorf("the table has another line:\n%s\nwant:\n%s", lines[at], want)
	}
}

// line returns the line of the table.
func (r row) line(restored string) string {
	says := func(sentence string) string {
		if sentence == "" {
			return "-"
		}
		return sentence
	}
	return "| " + strings.Join([]string{r.name, r.breaks, says(r.risk), says(r.finding), says(r.how), restored}, " | ") + " |"
}
