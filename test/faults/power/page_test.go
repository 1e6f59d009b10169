package power

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/test/faults/disk"
	"github.com/patchbay-cni/patchbay/test/faults/networks"
	"github.com/patchbay-cni/patchbay/test/kit/page"
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
	page.Part{File: "../../../docs/power-loss.md", Name: "disks", From: "the disks of this run"}.Compare(t, b.format())
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
	if page.Updating() {
		return cases
	}
	return networks.Chosen(t, cases)
}
