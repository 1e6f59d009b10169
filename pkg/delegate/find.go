package delegate

import (
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
