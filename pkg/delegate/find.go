package delegate

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Patience is how long a call may take unless a Plugin says otherwise: half of what kubelet has for the whole verb.
const Patience = 60 * time.Second

// Plugin is an IPAM plugin that was found.
type Plugin struct {
	Name     string        // ipam.type
	Path     string        // of the program
	Deadline time.Duration // of one call
	Stderr   io.Writer     // is given all that the plugin says there, while it says it
}

// String names plugin and path, for errors.
func (p *Plugin) String() string { return "IPAM plugin " + p.Name + " (" + p.Path + ")" }

// Find looks for the first program of that name in the directories of CNI_PATH. An *Error wraps ErrName, ErrNotFound or
// ErrNotExecutable.
func Find(name, cniPath string) (*Plugin, error) {
	if !IsName(name) {
		return nil, &Error{Reason: ErrName, Msg: fmt.Sprintf("ipam.type %q %v", name, ErrName)}
	}
	p := &Plugin{Name: name, Deadline: Patience, Stderr: os.Stderr}
	failed := &Error{Reason: ErrNotFound, Msg: fmt.Sprintf("IPAM plugin %s %v %q", name, ErrNotFound, cniPath)}
	for _, dir := range filepath.SplitList(cniPath) {
		if dir == "" {
			continue // the working directory is the runtime's, nobody put a plugin there
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

// IsName reports whether a text can be that of a plugin: a file's name, no path.
func IsName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// IsSelf reports whether the plugin is the running program, by whatever name.
func (p *Plugin) IsSelf() bool {
	self, err1 := os.Stat("/proc/self/exe")
	its, err2 := os.Stat(p.Path)
	return err1 == nil && err2 == nil && os.SameFile(self, its)
}
