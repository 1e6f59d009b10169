package disk

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Disk is a tree that may be on the disk after a power failure.
type Disk struct {
	Tree Tree
	// Ended: it is possible after the last operation, when the program has reported success.
	Ended bool
	// Why is one way to this tree: when the power fails and what is lost.
	Why string
}

// Key identifies the tree.
func (d Disk) Key() [sha256.Size]byte {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(d.Tree)) {
		n := d.Tree[name]
		fmt.Fprintf(&text, "%q %t %q %q %d\n", name, n.Dir, n.Target, n.Data, n.ID)
	}
	return sha256.Sum256([]byte(text.String()))
}

// After returns the trees that may be on the disk if the power fails at any moment during or after the operations, each once. before is
// the tree that is completely on the disk.
func (m Model) After(before Tree, ops []Op) ([]Disk, error) {
	h, err := resolve(before, ops)
	if err != nil {
		return nil, err
	}
	all := &collection{at: map[[sha256.Size]byte]int{}}
	for cut := len(ops); cut >= 0; cut-- {
		s := &state{history: h, model: m, cut: cut, all: all}
		s.requireSynced()
		for _, names := range s.nameSets() {
			s.contents(names)
		}
	}
	return all.disks, nil
}

// collection has each tree once.
type collection struct {
	disks []Disk
	at    map[[sha256.Size]byte]int
}

func (c *collection) add(d Disk) {
	key := d.Key()
	i, known := c.at[key]
	if !known {
		c.at[key] = len(c.disks)
		c.disks = append(c.disks, d)
		return
	}
	c.disks[i].Ended = c.disks[i].Ended || d.Ended
}

// state is a moment of the power failure: the operations before cut were called.
type state struct {
	*history
	model    Model
	cut      int
	required []bool        // by operation: fsync has written it
	durable  map[*file]int // by file: its content is written up to this operation
	all      *collection
}

// requireSynced finds what fsync has written.
func (s *state) requireSynced() {
	s.required, s.durable = make([]bool, len(s.changes)), map[*file]int{}
	for i, c := range s.changes[:s.cut] {
		if c.Kind != Sync {
			continue
		}
		if !c.node.Dir {
			s.durable[c.node] = i
		}
		for k, earlier := range s.changes[:i] {
			s.required[k] = s.required[k] || s.model.syncs(c, earlier)
		}
	}
}

// syncs reports whether an fsync writes an earlier operation.
func (m Model) syncs(fsync, earlier change) bool {
	if m.SyncAll {
		return true
	}
	if earlier.Kind == Mkdir && m.SyncNames && (earlier.Path == fsync.Path || isAbove(earlier.Path, fsync.Path)) {
		return true
	}
	if !fsync.node.Dir {
		return earlier.node == fsync.node && (m.SyncNames || !earlier.isName())
	}
	return slices.ContainsFunc(earlier.paths, func(name string) bool { return isBelow(name, fsync.Path) })
}

// nameSets returns the sets of operations whose changes of names and sizes are on the disk.
func (s *state) nameSets() [][]bool {
	if s.model.Ordered {
		return s.prefixes()
	}
	var free []int
	for i, c := range s.changes[:s.cut] {
		if !s.required[i] && (c.isName() || c.Kind == Truncate) {
			free = append(free, i)
		}
	}
	var sets [][]bool
	losses := [][]int{nil}
	if s.cut == len(s.changes) || s.changes[s.cut].Kind == Sync { // most can be lost at the end and before an fsync
		losses = subsets(len(free), small)
	}
	for _, lost := range losses {
		set := make([]bool, len(s.changes))
		for i := range s.cut {
			set[i] = true
		}
		for _, k := range lost {
			set[free[k]] = false
		}
		sets = append(sets, set)
	}
	return sets
}

// prefixes returns what a journal has: the first operations, and those that fsync has written ahead.
func (s *state) prefixes() [][]bool {
	var sets [][]bool
	for n := s.cut; n >= 0; n-- {
		set := slices.Clone(s.required)
		for i := range n {
			set[i] = true
		}
		sets = append(sets, set)
		if n > 0 && s.model.SyncAll && s.required[n-1] {
			break // nothing before it can be lost
		}
	}
	return sets
}

// small is the largest number of changes of names of which every subset is taken.
const small = 4

// subsets returns sets of what is lost of n changes: all if n is at most the limit; else nothing, each one, everything, and everything but one.
func subsets(n, limit int) [][]int {
	var out [][]int
	if n <= limit {
		for mask := range 1 << n {
			out = append(out, bits(mask, n))
		}
		return out
	}
	all := bits(1<<n-1, n)
	out = append(out, nil, all)
	for i := range n {
		out = append(out, []int{i}, slices.DeleteFunc(slices.Clone(all), func(k int) bool { return k == i }))
	}
	return out
}

func bits(mask, n int) (set []int) {
	for i := range n {
		if mask>>i&1 == 1 {
			set = append(set, i)
		}
	}
	return set
}
