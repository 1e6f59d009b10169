package parity

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestMain runs more rows at once than there are processors, unless -parallel says otherwise: most of a row is waiting for the
// kernel to take links and namespaces down, and for the reference to look again.
func TestMain(m *testing.M) { expect.Main(m, 24) }

func rows() []row {
	return slices.Concat(conflistRows(), masqueradeRows(), versionRows(), bridgeRows(), hostLocalRows())
}

// TestParity runs each row on both sides. What differs is on the list of allowances, each of which some row uses; and table.md is
// what was seen.
func TestParity(t *testing.T) {
	b := &book{}
	t.Run("rows", func(t *testing.T) {
		for _, r := range rows() {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				reference, ours := run(t, r, false), run(t, r, true)
				used, differences := compare(r.name, reference, ours)
				if len(differences) > 0 {
					t.Errorf("not on the list of what may differ (-reference +ours):\n%s", strings.Join(differences, "\n"))
				}
				b.add(line{row: r, ours: ours, used: used})
			})
		}
	})
	b.judge(t, rows())
}

// difference is a fact of which the sides have different values; one that a side does not have is "".
type difference struct{ fact, reference, ours string }

// compare returns the names of the allowances that the differences use, and the differences that none allows.
func compare(row string, reference, ours facts) (used, rest []string) {
	refuses := len(refusals(reference)) > 0 && len(refusals(ours)) > 0
	for _, d := range differences(reference, ours) {
		i := slices.IndexFunc(allowances(), func(a allowance) bool { return a.covers(d, row, refuses) })
		if i < 0 {
			rest = append(rest, "  "+d.fact+"\n- "+d.reference+"\n+ "+d.ours)
			continue
		}
		used = append(used, allowances()[i].name)
	}
	slices.Sort(used)
	return slices.Compact(used), rest
}

// differences are sorted. Where one side's ADD passes and the other's does not, nothing else can be the same: then it is only that.
func differences(reference, ours facts) (all []difference) {
	for _, name := range []string{"ADD one", "ADD two"} {
		if reference[name] != ours[name] && (reference[name] == passes || ours[name] == passes) {
			return []difference{{name, reference[name], ours[name]}}
		}
	}
	names := maps.Clone(reference)
	maps.Copy(names, ours)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if reference[name] != ours[name] {
			all = append(all, difference{name, reference[name], ours[name]})
		}
	}
	return all
}

// refusals are the ADDs that did not pass.
func refusals(f facts) (names []string) {
	for _, name := range []string{"ADD one", "ADD two"} {
		if f[name] != passes {
			names = append(names, name)
		}
	}
	return names
}
