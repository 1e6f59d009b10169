package disk

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// version is a content that a file may have, and what of it is lost.
type version struct {
	data []byte
	lost string
	none bool // nothing that was not synchronized is there
}

// contents adds the trees with these changes of names and every content that files may have.
func (s *state) contents(names []bool) {
	tree := s.apply(names)
	var dirty []*file
	versions := map[*file][]version{}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		f := tree[name]
		if versions[f] != nil || f.Dir {
			continue
		}
		versions[f] = s.versions(f, names, path.Dir(name))
		if len(versions[f]) > 1 {
			dirty = append(dirty, f)
		}
	}
	unordered := 0
	if !s.model.Ordered {
		unordered = len(s.lostNames(names))
	}
	for _, choice := range choices(dirty, versions, unordered) {
		s.all.add(s.disk(tree, names, versions, choice))
	}
}

// apply returns the names on the disk. A change whose file or directory is not there is lost with it.
func (s *state) apply(names []bool) map[string]*file {
	tree := maps.Clone(s.before)
	for i, c := range s.changes[:s.cut] {
		if !names[i] || !c.isName() {
			continue
		}
		target := c.paths[len(c.paths)-1]
		if dir := tree[path.Dir(target)]; dir == nil && path.Dir(target) != "/" {
			continue
		}
		switch c.Kind {
		case Create, Symlink, Mkdir:
			tree[c.Path] = c.node
		case Rename, Link:
			if tree[c.Path] != c.node {
				continue
			}
			tree[c.To] = c.node
			if c.Kind == Rename {
				delete(tree, c.Path)
			}
		case Unlink:
			delete(tree, c.Path)
		case Rmdir:
			if !hasEntries(tree, c.Path) {
				delete(tree, c.Path)
			}
		}
	}
	return tree
}

func hasEntries(tree map[string]*file, dir string) bool {
	for name := range tree {
		if isAbove(dir, name) {
			return true
		}
	}
	return false
}

// versions returns the contents that a file may have; the complete one is first.
func (s *state) versions(f *file, names []bool, dir string) []version {
	var kept, free []event
	durable := s.flushed(f, names)
	for _, e := range f.events {
		switch {
		case e.at >= s.cut, e.truncate && !names[e.at]:
		case e.truncate, e.at < durable:
			// A truncation that is on the disk comes after all writes before it.
			kept, free = append(append(kept, free...), e), nil
		case !s.model.Ordered || names[e.at] || e.inPlace:
			free = append(free, e)
		}
	}
	var out []version
	for n := len(free); n >= 0; n-- {
		v := version{data: f.content(append(slices.Clone(kept), free[:n]...)), none: n == 0}
		if n < len(free) {
			v.lost = "data"
		}
		out = append(out, v)
	}
	if s.model.SizeFirst && len(free) > 0 {
		out = append(out, s.unwritten(f, kept, free, dir)...)
	}
	return slices.CompactFunc(out, func(a, b version) bool { return !b.none && bytes.Equal(a.data, b.data) })
}

// flushed returns the operation up to which the content of a file is on the disk.
func (s *state) flushed(f *file, names []bool) int {
	durable := s.durable[f]
	for i, c := range s.changes[:s.cut] {
		if s.model.Replace && c.Kind == Rename && c.node == f && c.replaces != nil && names[i] {
			durable = max(durable, i)
		}
	}
	return durable
}

// unwritten returns contents of the final size whose last writes are zeros, or the beginning of another file of the directory, which had these
// blocks before.
func (s *state) unwritten(f *file, kept, free []event, dir string) []version {
	fill := func(old []byte) []byte {
		blank := slices.Clone(free)
		for i, e := range blank {
			blank[i].data = make([]byte, len(e.data))
			copy(blank[i].data, old)
		}
		return f.content(append(slices.Clone(kept), blank...))
	}
	out := []version{{data: fill(nil), lost: "data, the size is there: zeros"}}
	for _, name := range slices.Sorted(maps.Keys(s.before)) {
		other := s.before[name]
		if path.Dir(name) == dir && other != f && len(other.Data) > 0 {
			return append(out, version{data: fill(other.Data), lost: "data, the size is there: old data of " + path.Base(name)})
		}
	}
	return out
}

// few is the largest number of files of which every combination of complete and lost is taken.
const few = 3

// choices returns combinations of versions of the dirty files, as an index for each. Complete and lost are combined as subsets says; files that
// are in part on the disk, or have other data, are so alone.
func choices(dirty []*file, versions map[*file][]version, names int) []map[*file]int {
	sets := subsets(len(dirty), few)
	if names > 0 { // names are lost, in any order: complete, or lost with them
		sets = [][]int{nil, bits(1<<len(dirty)-1, len(dirty))}
	}
	var out []map[*file]int
	for _, lost := range sets {
		choice := map[*file]int{}
		for _, i := range lost {
			choice[dirty[i]] = lostVersion(versions[dirty[i]])
		}
		out = append(out, choice)
	}
	for _, f := range dirty {
		for i := range versions[f] {
			out = append(out, map[*file]int{f: i})
		}
	}
	return out
}

// lostVersion returns the version that has none of the data.
func lostVersion(versions []version) int {
	return slices.IndexFunc(versions, func(v version) bool { return v.none })
}

// disk returns the tree with one version of each file.
func (s *state) disk(names map[string]*file, on []bool, versions map[*file][]version, choice map[*file]int) Disk {
	nodes, tree := map[*file]*Node{}, Tree{}
	lost := s.lostNames(on)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := names[name]
		if nodes[f] == nil {
			node := f.Node
			if !f.Dir && f.Target == "" {
				v := versions[f][choice[f]]
				node.Data = v.data
				if v.lost != "" {
					lost = append(lost, name+" ("+v.lost+")")
				}
			}
			nodes[f] = &node
		}
		tree[name] = nodes[f]
	}
	return Disk{Tree: tree, Ended: s.cut == len(s.changes), Why: s.why(lost)}
}

func (s *state) lostNames(on []bool) (lost []string) {
	for i, c := range s.changes[:s.cut] {
		if !on[i] && (c.isName() || c.Kind == Truncate) {
			lost = append(lost, c.String())
		}
	}
	return lost
}

func (s *state) why(lost []string) string {
	when := "before the first operation"
	if s.cut > 0 {
		when = "after " + s.changes[s.cut-1].String()
	}
	if len(lost) == 0 {
		return fmt.Sprintf("%s: power fails %s; nothing is lost", s.model.Name, when)
	}
	return fmt.Sprintf("%s: power fails %s; lost: %s", s.model.Name, when, strings.Join(lost, ", "))
}
