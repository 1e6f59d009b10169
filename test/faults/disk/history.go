package disk

import (
	"fmt"
	"maps"
	"path"
	"strings"
)

// change is an operation with the nodes that it concerns. A node stays the same under all its names.
type change struct {
	Op
	node     *file
	replaces *file // Rename: the file that had the new name
	paths    []string
}

// file is a node and the changes of its content, in order.
type file struct {
	Node
	events []event
}

// event is a change of a file's content: a page or a part of one, or a truncation.
type event struct {
	at       int // index of the operation
	truncate bool
	offset   int64 // of data, or the new size
	data     []byte
	inPlace  bool // it changes bytes that the file had
}

// history is the operations of a program, resolved to nodes.
type history struct {
	changes []change
	before  map[string]*file
}

// resolve follows the operations from a tree that is completely on the disk.
func resolve(before Tree, ops []Op) (*history, error) {
	h := &history{before: map[string]*file{}}
	known := map[*Node]*file{}
	for name, node := range before {
		if known[node] == nil {
			known[node] = &file{Node: *node}
		}
		h.before[name] = known[node]
	}
	now := maps.Clone(h.before)
	for i, op := range ops {
		c, err := follow(now, i, op)
		if err != nil {
			return nil, fmt.Errorf("operation %d, %s: %w", i+1, op, err)
		}
		h.changes = append(h.changes, c)
	}
	return h, nil
}

// follow applies an operation to the names, and records changes of contents.
func follow(now map[string]*file, i int, op Op) (change, error) {
	c := change{Op: op, node: now[op.Path], paths: []string{op.Path}}
	switch op.Kind {
	case Create, Symlink, Mkdir:
		if c.node != nil {
			return c, fmt.Errorf("the name is taken")
		}
		c.node = &file{Node: Node{Dir: op.Kind == Mkdir, ID: op.ID}}
		if op.Kind == Symlink {
			c.node.Target = op.To
		}
		now[op.Path] = c.node
		return c, nil
	}
	if c.node == nil {
		return c, fmt.Errorf("no such file")
	}
	switch op.Kind {
	case Write, Truncate:
		c.node.record(i, op)
	case Rename, Link:
		if c.node.Dir {
			return c, fmt.Errorf("a directory")
		}
		c.replaces, c.paths = now[op.To], []string{op.Path, op.To}
		now[op.To] = c.node
		if op.Kind == Rename {
			delete(now, op.Path)
		}
	case Unlink, Rmdir:
		delete(now, op.Path)
	}
	return c, nil
}

// record appends the events of a write or a truncation: one for each page.
func (f *file) record(i int, op Op) {
	size := int64(len(f.content(f.events)))
	if op.Kind == Truncate {
		f.events = append(f.events, event{at: i, truncate: true, offset: op.Size})
		return
	}
	for offset, data := op.Offset, op.Data; len(data) > 0; {
		n := min(int64(len(data)), pageSize-offset%pageSize)
		f.events = append(f.events, event{at: i, offset: offset, data: data[:n], inPlace: offset+n <= size})
		offset, data = offset+n, data[n:]
	}
}

// content returns the content of the file after these events.
func (f *file) content(events []event) []byte {
	data := append([]byte{}, f.Data...)
	for _, e := range events {
		end := e.offset + int64(len(e.data))
		if e.truncate && end < int64(len(data)) {
			data = data[:end]
		}
		if grow := end - int64(len(data)); grow > 0 {
			data = append(data, make([]byte, grow)...)
		}
		copy(data[e.offset:], e.data)
	}
	return data
}

// isName reports whether the operation changes names.
func (c change) isName() bool {
	return c.Kind != Write && c.Kind != Truncate && c.Kind != Sync
}

// isBelow reports whether a path is in a directory, directly.
func isBelow(name, dir string) bool { return path.Dir(name) == dir }

// isAbove reports whether a directory is above a path.
func isAbove(dir, name string) bool { return strings.HasPrefix(name, dir+"/") }
