package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Where LXC keeps containers, and where it is told otherwise (lxc.system.conf(5)).
const (
	defaultLXCPath = "/var/lib/lxc"
	lxcSystemConf  = "/etc/lxc/lxc.conf"
)

// ErrNoContainer is wrapped where LXC has no container of the name that was asked for.
var ErrNoContainer = errors.New("no such LXC container")

// LXC is a container of LXC. A name alone is not enough: another directory may have the same.
type LXC struct {
	Path string // the directory of containers, lxcpath
	Name string
}

// LXCPath is the directory of containers that the programs of LXC use if they are not told.
func LXCPath() string {
	text, _ := os.ReadFile(lxcSystemConf)
	path := defaultLXCPath
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) == "lxc.lxcpath" {
			path = strings.TrimSpace(value)
		}
	}
	return path
}

// ID is the container's for CNI: its name for people, and a hash of name and lxcpath. It needs
// nothing of the container to be there.
func (c LXC) ID() string {
	const mostOfName = 150
	name := []byte(c.Name[:min(len(c.Name), mostOfName)])
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

// isIDByte reports whether a container ID of CNI may have a byte.
func isIDByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("._-", b) >= 0
}

// ConfigPath is the path of the container's configuration.
func (c LXC) ConfigPath() string { return filepath.Join(c.Path, c.Name, "config") }

// Exists says in words that there is no such container, and which one has the nearest name. Errors
// wrap ErrNoContainer.
func (c LXC) Exists() error {
	if c.Name == "" || strings.Contains(c.Name, "/") {
		return fmt.Errorf("%w as %q: a name has no /", ErrNoContainer, c.Name)
	}
	_, err := os.Stat(c.ConfigPath())
	if err == nil {
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if near := Nearest(c.Name, lxcNames(c.Path)); near != "" {
		return fmt.Errorf("%w as %q in %s: did you mean %q?", ErrNoContainer, c.Name, c.Path, near)
	}
	return fmt.Errorf("%w as %q in %s", ErrNoContainer, c.Name, c.Path)
}

// lxcNames are the containers of a directory.
func lxcNames(path string) []string {
	configs, _ := filepath.Glob(filepath.Join(path, "*", "config"))
	var names []string
	for _, config := range configs {
		names = append(names, filepath.Base(filepath.Dir(config)))
	}
	return names
}
