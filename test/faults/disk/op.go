package disk

import "fmt"

// Kind is the kind of an operation.
type Kind string

// The kinds of operations.
const (
	Create   Kind = "create"   // an empty file that did not exist
	Write    Kind = "write"    // Data at Offset
	Truncate Kind = "truncate" // to Size
	Rename   Kind = "rename"   // Path to To
	Link     Kind = "link"     // To is another name of Path
	Symlink  Kind = "symlink"  // Path leads to To
	Unlink   Kind = "unlink"
	Mkdir    Kind = "mkdir"
	Rmdir    Kind = "rmdir"
	Sync     Kind = "fsync" // of a file or directory
)

// Op is an operation that succeeded.
type Op struct {
	Kind   Kind
	Path   string // absolute
	To     string
	Offset int64
	Size   int64
	Data   []byte
	ID     uint64 // Create: the inode number, or another identity
}

// String returns the operation as "rename /a -> /b".
func (o Op) String() string {
	switch o.Kind {
	case Write:
		return fmt.Sprintf("write %d bytes to %s", len(o.Data), o.Path)
	case Rename, Link, Symlink:
		return fmt.Sprintf("%s %s -> %s", o.Kind, o.Path, o.To)
	}
	return string(o.Kind) + " " + o.Path
}

// Node is a file, a directory or a symbolic link.
type Node struct {
	Dir    bool
	Target string // of a symbolic link
	Data   []byte
	ID     uint64 // of the operation that created the file, or of the caller
}

// Tree is a directory tree: nodes by absolute path. Hard links are two paths of one node.
type Tree map[string]*Node

// pageSize is the unit in which the content of a file is written.
const pageSize = 4096
