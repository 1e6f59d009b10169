package delegate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// Patience is the default of Plugin.Deadline: half of what kubelet allows for a verb.
const Patience = 60 * time.Second

// Plugin is an IPAM plugin that was found.
type Plugin struct {
	Name     string        // ipam.type
	Path     string        // of the executable
	Deadline time.Duration // maximum duration of one call
	Stderr   io.Writer     // receives the plugin's stderr while it runs
}

// String returns the plugin's name and path, for errors.
func (p *Plugin) String() string { return "IPAM plugin " + p.Name + " (" + p.Path + ")" }

// Find returns the first executable of that name in the directories of CNI_PATH. An
// *Error wraps ErrName, ErrNotFound or ErrNotExecutable.
func Find(name, cniPath string) (*Plugin, error) {
	if !IsName(name) {
		return nil, &Error{Reason: ErrName, Msg: fmt.Sprintf("ipam.type %q: %v", name, ErrName)}
	}
	p := &Plugin{Name: name, Deadline: Patience, Stderr: printable.Lines(os.Stderr)}
	failed := &Error{Reason: ErrNotFound, Msg: fmt.Sprintf("IPAM plugin %s: %v %q", name, ErrNotFound, cniPath)}
	for _, dir := range filepath.SplitList(cniPath) {
		if dir == "" {
			continue // an empty entry would be the working directory, which the runtime chose
		}
		p.Path = filepath.Join(dir, name)
		info, err := os.Stat(p.Path)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if info.Mode()&0o111 != 0 {
			return p, nil
		}
		failed = p.fail(ErrNotExecutable)
	}
	return nil, failed
}

// IsName reports whether a text can be the name of a plugin: a file name, not a path.
func IsName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// IsSelf reports whether the plugin is the running program: a link to its file, or a
// copy. To call it would never end.
func (p *Plugin) IsSelf() bool {
	const self = "/proc/self/exe"
	running, err1 := os.Stat(self)
	its, err2 := os.Stat(p.Path)
	if err1 != nil || err2 != nil {
		return false
	}
	return os.SameFile(running, its) || running.Size() == its.Size() && sameContent(self, p.Path)
}

// compared is how many bytes sameContent compares at each end of two files. The first page of a Go program has its build
// ID, which contains a hash of the whole program, so that two builds differ there. To read all of it would take a verb of a
// drop-in installation, whose host-local is a copy, longer than the rest of its work.
const compared = 1 << 14

// sameContent compares the beginning and the end of two files. It is called only for files of equal size, which two
// different builds rarely have.
func sameContent(one, other string) bool {
	a, err1 := readEnds(one)
	b, err2 := readEnds(other)
	return err1 == nil && err2 == nil && bytes.Equal(a, b)
}

// readEnds returns the first and the last bytes of a file.
func readEnds(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ends := make([]byte, 2*compared)
	first, err := io.ReadFull(f, ends[:compared])
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return ends[:first], nil
	}
	if err == nil {
		_, err = f.Seek(-compared, io.SeekEnd)
	}
	if err == nil {
		_, err = io.ReadFull(f, ends[compared:])
	}
	return ends, err
}
