package parity

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestMain runs more rows in parallel than there are CPUs, unless -parallel is given: they mostly wait for the kernel to delete links and
// namespaces, and for polling of the reference plugins.
func TestMain(m *testing.M) { expect.Main(m, 24) }

func rows() []row {
	return slices.Concat(conflistRows(), masqueradeRows(), versionRows(), bridgeRows(), portRows(), tuningRows(), sbrRows(), limitRows(), hostLocalRows())
}

// TestParity runs each row with both sets of plugins. All differences are on the list of allowances, each of which some row uses; table.md has the
// results.
//
// Claim: Results equal those of the reference plugins for published conflists, every key of bridge and host-local, and every version,
// except for a closed list of differences, all of which occur; see `test/repo/parity/table.md`
// Claim: Sysctls of the container are those of the reference, except for a closed list: on layer 2 `accept_dad` is not changed, and
// `arp_notify` is set with any address
func TestParity(t *testing.T) {
	b := &results{}
	t.Run("rows", func(t *testing.T) {
		for _, r := range rows() {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				reference, ours := run(t, r, false), run(t, r, true)
				used, differences := compare(r.name, reference, ours)
				if len(differences) > 0 {
					t.Errorf("differences that no allowance covers (-reference +ours):\n%s", strings.Join(differences, "\n"))
				}
				b.add(line{row: r, ours: ours, used: used})
			})
		}
	})
	b.compareTable(t, rows())
}

// difference is a fact with different values; a missing value is "".
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

// differences returns the differences, sorted. If only one side's ADD succeeds, all else differs, and it returns only that.
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

// refusals returns the ADDs that failed.
func refusals(f facts) (names []string) {
	for _, name := range []string{"ADD one", "ADD two"} {
		if f[name] != passes {
			names = append(names, name)
		}
	}
	return names
}

// TestEveryKey: each key of the reference bridge and host-local occurs in a row.
func TestEveryKey(t *testing.T) {
	var values []any
	for _, r := range rows() {
		values = append(values, r.keys, r.own, r.capabilities)
		for _, args := range r.args {
			for _, arg := range args {
				values = append(values, cni.Conf{strings.ToLower(arg[0]): arg[1]})
			}
		}
	}
	for _, dir := range []string{"plugins/main/bridge", "plugins/ipam/host-local/backend/allocator"} {
		expect.Equal(t, "keys of "+dir+" without a row", cni.Missing(t, cni.ReferenceKeys(t, dir), values...), []string{})
	}
}
