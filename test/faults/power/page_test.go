package power

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/test/faults/disk"
	"github.com/patchbay-cni/patchbay/test/faults/networks"
)

const (
	page  = "../../../docs/power-loss.md"
	begin = "<!-- disks:begin -->\n"
	end   = "<!-- disks:end -->\n"
)

// table collects the rows of the page.
type table struct {
	mu   sync.Mutex
	rows []row
}

// row is a line of the table.
type row struct {
	cut
	trace  *trace
	found  found
	failed int
}

func (b *table) add(r row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = append(b.rows, r)
}

// updating reports whether the page is to be written. Then all disks are booted from.
func updating() bool { return os.Getenv("PATCHBAY_UPDATE") != "" }

// cases returns the number of verbs of all networks.
func cases() (n int) {
	for _, kind := range kinds() {
		n += len(kind.verbs())
	}
	return n
}

// compare compares the table of the page with the rows, or writes it. If only some tests ran it does nothing.
func (b *table) compare(t *testing.T) {
	t.Helper()
	if len(b.rows) != cases() || t.Failed() {
		return
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundEnd {
		t.Fatalf("%s has no markers %q", page, begin)
	}
	want := before + begin + b.format() + end + after
	if updating() {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(string(text), want); diff != "" {
		t.Errorf("docs/power-loss.md is out of date; run TestPowerLoss with PATCHBAY_UPDATE=1 (-page +seen):\n%s", diff)
	}
}

// format returns the table, with the sums in its last line.
func (b *table) format() string {
	order := map[string]int{}
	for _, kind := range kinds() {
		for _, verb := range kind.verbs() {
			order[kind.name+verb] = len(order)
		}
	}
	slices.SortFunc(b.rows, func(x, y row) int { return cmp.Compare(order[x.name+x.verb], order[y.name+y.verb]) })
	var out strings.Builder
	head, sums := []string{"network", "verb", "operations", "fsync"}, make([]int, 2+len(disk.Models())+2)
	for _, m := range disk.Models() {
		head = append(head, m.Name)
	}
	head = append(head, "different disks", "failures")
	fmt.Fprintf(&out, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, r := range b.rows {
		numbers := slices.Concat([]int{len(r.trace.ops), r.trace.syncs()}, r.found.counts, []int{len(r.found.disks), r.failed})
		for i, n := range numbers {
			sums[i] += n
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", r.name, r.verb, cells(numbers))
	}
	fmt.Fprintf(&out, "| all | | %s |\n", cells(sums))
	return out.String()
}

func cells(numbers []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", " | "), "[]")
}

// syncs returns the number of fsyncs.
func (r *trace) syncs() (n int) {
	for _, op := range r.ops {
		if op.Kind == disk.Sync {
			n++
		}
	}
	return n
}

// chosen returns the cases to run: all if the page is written.
func chosen(t *testing.T, cases []networks.Case) []networks.Case {
	t.Helper()
	if updating() {
		return cases
	}
	return networks.Chosen(t, cases)
}
