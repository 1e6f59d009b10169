package disk

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// old is a directory with the file f, which has the content "old".
func old() Tree {
	return Tree{"/d": {Dir: true}, "/d/f": {Data: []byte("old"), ID: 1}}
}

func create(path string) Op          { return Op{Kind: Create, Path: path, ID: 2} }
func write(path, text string) Op     { return Op{Kind: Write, Path: path, Data: []byte(text)} }
func rename(from, to string) Op      { return Op{Kind: Rename, Path: from, To: to} }
func fsync(path string) Op           { return Op{Kind: Sync, Path: path} }
func symlink(path, target string) Op { return Op{Kind: Symlink, Path: path, To: target} }

// line returns the files of a tree as "f=old t=new": control characters are shown as with %q, without quotes.
func line(tree Tree) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		n := tree[name]
		if !n.Dir {
			text := fmt.Sprintf("%.20q", string(n.Data)+n.Target)
			parts = append(parts, strings.TrimPrefix(name, "/d/")+"="+strings.Trim(text, `"`))
		}
	}
	return strings.Join(parts, " ")
}

// after returns the trees that are possible after the last operation, and those that are possible during or after them, sorted.
func after(t *testing.T, m Model, before Tree, ops []Op) (ended, all []string) {
	t.Helper()
	disks, err := m.After(before, ops)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range disks {
		all = append(all, line(d.Tree))
		if d.Ended {
			ended = append(ended, line(d.Tree))
		}
	}
	slices.Sort(ended)
	slices.Sort(all)
	return slices.Compact(ended), slices.Compact(all)
}

// TestModels: the known cases of file systems, as the trees that are possible after the last operation.
//
// Claim: Power failures are computed by the rules of ext4 ordered, ext4 writeback, xfs and btrfs, and of no order at all
func TestModels(t *testing.T) {
	replace := []Op{create("/d/t"), write("/d/t", "new"), rename("/d/t", "/d/f")}
	replaceSynced := []Op{create("/d/t"), write("/d/t", "new"), fsync("/d/t"), rename("/d/t", "/d/f")}
	durable := append(slices.Clone(replaceSynced), fsync("/d"))
	added := []Op{create("/d/n"), write("/d/n", "new")}
	marked := []Op{create("/d/n"), symlink("/d/m", "x"), write("/d/n", "new")}
	two := []Op{create("/d/a"), create("/d/b"), fsync("/d/b")}
	truncated := []Op{{Kind: Truncate, Path: "/d/f"}, write("/d/f", "new")}
	tests := []struct {
		name string
		m    Model
		ops  []Op
		want []string
	}{
		{"replace without fsync: empty never, on ext4", Ext4(), replace, []string{"f=new", "f=old", "f=old t=", "f=old t=new"}},
		{"replace without fsync: empty, on xfs", XFS(), replace, []string{"f=", "f=new", "f=old", "f=old t=", "f=old t=new"}},
		{"replace without fsync: empty, on btrfs", Btrfs(), replace, []string{"f=", "f=new", "f=old", "f=old t=", "f=old t=new"}},
		{"replace without fsync: other data, with writeback", Ext4Writeback(), replace, []string{
			"f=", `f=\x00\x00\x00`, "f=new", "f=old", "f=old t=", `f=old t=\x00\x00\x00`, "f=old t=new", "f=old t=old",
		}},
		{"fsync of the file alone: old or new", XFS(), replaceSynced, []string{"f=new", "f=old t=new"}},
		{"fsync of the file alone: old or new", Btrfs(), replaceSynced, []string{"f=new", "f=old t=new"}},
		{"fsync of the file alone: the name is not synchronized", NoOrder(), replaceSynced, []string{"f=new", "f=old", "f=old t=new"}},
		{"fsync of file and directory: new", Ext4(), durable, []string{"f=new"}},
		{"fsync of file and directory: new", Ext4Writeback(), durable, []string{"f=new"}},
		{"fsync of file and directory: new", Btrfs(), durable, []string{"f=new"}},
		{"fsync of file and directory: new", NoOrder(), durable, []string{"f=new"}},
		{"a new file may be empty, on ext4 too", Ext4(), added, []string{"f=old", "f=old n=", "f=old n=new"}},
		{"a link before the data is there with the data", Ext4(), marked, []string{"f=old", "f=old m=x n=", "f=old m=x n=new", "f=old n="}},
		{"a link before the data is there with the data", Btrfs(), marked, []string{"f=old", "f=old m=x n=", "f=old m=x n=new", "f=old n="}},
		{"without order the link may be lost alone", NoOrder(), marked[:2], []string{"f=old", "f=old m=x", "f=old m=x n=", "f=old n="}},
		{"fsync of one file writes the other's name, on xfs", XFS(), two, []string{"a= b= f=old"}},
		{"fsync of one file does not write the other's name, on btrfs", Btrfs(), two, []string{"a= b= f=old", "b= f=old"}},
		{"truncate and write: empty", Ext4(), truncated, []string{"f=", "f=new", "f=old"}},
	}
	for _, tt := range tests {
		ended, _ := after(t, tt.m, old(), tt.ops)
		expect.Equal(t, tt.name+" ("+tt.m.Name+")", ended, tt.want)
	}
}

// TestDuring: what was synchronized stays, also if the power fails later; before that, earlier states are possible.
func TestDuring(t *testing.T) {
	ops := []Op{create("/d/t"), write("/d/t", "new"), fsync("/d/t"), rename("/d/t", "/d/f"), fsync("/d"), {Kind: Unlink, Path: "/d/f"}}
	for _, m := range Models() {
		ended, all := after(t, m, old(), ops)
		expect.Equal(t, m.Name+": afterwards", ended, []string{"", "f=new"})
		if !slices.Contains(all, "f=old") || !slices.Contains(all, "f=old t=new") {
			t.Errorf("%s: earlier states are missing: %q", m.Name, all)
		}
	}
}

// TestPages: a file of several pages may have the first of them only.
func TestPages(t *testing.T) {
	text := strings.Repeat("x", 3*pageSize)
	disks, err := XFS().After(Tree{"/d": {Dir: true}}, []Op{create("/d/f"), write("/d/f", text)})
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, d := range disks {
		if n := d.Tree["/d/f"]; n != nil {
			sizes = append(sizes, len(n.Data)/pageSize)
		}
	}
	slices.Sort(sizes)
	expect.Equal(t, "pages", sizes, []int{0, 1, 2, 3})
}

// TestStricterModelsHaveFewerDisks: each disk of a model is one of every model with fewer rules.
func TestStricterModelsHaveFewerDisks(t *testing.T) {
	ops := []Op{
		{Kind: Mkdir, Path: "/d/e"},
		create("/d/e/t"), write("/d/e/t", "new"), fsync("/d/e/t"), rename("/d/e/t", "/d/f"),
		{Kind: Link, Path: "/d/f", To: "/d/g"},
		{Kind: Unlink, Path: "/d/f"},
		{Kind: Rmdir, Path: "/d/e"},
	}
	for _, pair := range [][2]Model{{Ext4(), XFS()}, {XFS(), Ext4Writeback()}, {XFS(), Btrfs()}, {Btrfs(), NoOrder()}} {
		_, strict := after(t, pair[0], old(), ops)
		_, loose := after(t, pair[1], old(), ops)
		for _, tree := range strict {
			if !slices.Contains(loose, tree) {
				t.Errorf("%q is possible on %s and not on %s", tree, pair[0].Name, pair[1].Name)
			}
		}
	}
}

// TestSubsets: all of few, else at most one and at least all but one.
func TestSubsets(t *testing.T) {
	expect.Equal(t, "all of three", len(subsets(3, 4)), 8)
	expect.Equal(t, "of ten", len(subsets(10, 4)), 2+2*10)
}

// TestImpossible: operations that could not have succeeded are an error, so an incomplete list is noticed.
func TestImpossible(t *testing.T) {
	for _, ops := range [][]Op{{write("/d/none", "x")}, {create("/d/f")}, {rename("/d/none", "/d/f")}, {rename("/d", "/e")}} {
		if _, err := XFS().After(old(), ops); err == nil {
			t.Errorf("%v: no error", ops)
		}
	}
}
