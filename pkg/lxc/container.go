package lxc

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// The default directory of containers, and the file that may name another (lxc.system.conf(5)).
const (
	defaultPath = "/var/lib/lxc"
	systemConf  = "/etc/lxc/lxc.conf"
)

// ErrNoContainer is wrapped by errors about a container that does not exist.
var ErrNoContainer = errors.New("no LXC container")

// Container is an LXC container. Its name is unique only within its directory.
type Container struct {
	Path string // the directory of containers, lxcpath
	Name string
}

// Path returns the directory of containers that LXC's own programs use by default.
func Path() string {
	text, _ := safefile.Read(systemConf, safefile.Rules{FollowLinks: true})
	path := defaultPath
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) == "lxc.lxcpath" {
			path = strings.TrimSpace(value)
		}
	}
	return path
}

// ID returns the container ID for CNI: "lxc-", the name as far as it is valid, and a hash of name and
// lxcpath. It does not need the container to exist.
func (c Container) ID() string {
	const maxName = 150
	name := []byte(c.Name[:min(len(c.Name), maxName)])
	for i, b := range name {
		if !isIDByte(b) {
			name[i] = '_'
		}
	}
	path := filepath.Clean(c.Path)
	if followed, err := filepath.EvalSymlinks(path); err == nil {
		path = followed
	}
	sum := sha256.Sum256([]byte(path + "\x00" + c.Name))
	return "lxc-" + string(name) + "-" + hex.EncodeToString(sum[:4])
}

// isIDByte reports whether a byte is valid in a container ID (CNI SPEC section 2).
func isIDByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("._-", b) >= 0
}

// ConfigPath returns the path of the container's configuration.
func (c Container) ConfigPath() string { return filepath.Join(c.Path, c.Name, "config") }

// Check returns an error that wraps ErrNoContainer if the container does not exist.
func (c Container) Check() error {
	if c.Name == "" || strings.Contains(c.Name, "/") {
		return fmt.Errorf("%w %q: a name is not empty and contains no /", ErrNoContainer, c.Name)
	}
	_, err := os.Stat(c.ConfigPath())
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w %q in %s", ErrNoContainer, c.Name, c.Path)
	}
	return err
}

// Names returns the names of the containers in a directory, none if it cannot be read.
func Names(path string) []string {
	const maxNames = 10000
	all, _ := safefile.Names(path, maxNames)
	return slices.DeleteFunc(all, func(name string) bool {
		_, err := os.Lstat(Container{Path: path, Name: name}.ConfigPath())
		return err != nil
	})
}
