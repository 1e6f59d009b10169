package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// maxFiles is the greatest number of files in a directory of networks.
const maxFiles = 10000

// DefaultConfDir is the directory in which runtimes look for network configurations.
const DefaultConfDir = "/etc/cni/net.d"

// Network is a network that commands attach to.
type Network struct {
	Name   string
	Path   string   // of the file that configures it; "" for the default network without a file
	Config []byte   // the plugin's configuration, as a runtime passes it on stdin
	Others []string // types of the list's other plugins, which commands do not call

	Skipped error // files that cannot be read, of a network that no file configures; nil without

	LAN netip.Prefix // subnet of the bridge's LAN that --ip takes an address from; not valid for other networks
}

// list is a file of a configuration directory: a list of plugins, or a single plugin.
type list struct {
	Name    string            `json:"name"`
	Type    string            `json:"type"`
	Plugins []json.RawMessage `json:"plugins"`
}

// eachNetwork calls see for each file of a configuration directory, sorted by name. n is nil if the file has no
// plugin of type patchbay.
func eachNetwork(dir string, see func(path string, n *Network, err error)) error {
	paths, err := ConfFiles(dir)
	for _, path := range paths {
		n, err := readNetwork(path)
		see(path, n, err)
	}
	return err
}

// ConfFiles returns the paths of the files that runtimes read in a configuration directory, sorted by name, which
// is the order of runtimes. A directory that does not exist has none.
func ConfFiles(dir string) (paths []string, err error) {
	files, err := safefile.Names(dir, maxFiles)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list network configurations: %w", err)
	}
	slices.Sort(files)
	for _, name := range files {
		if slices.Contains(config.FileEndings(), filepath.Ext(name)) {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths, nil
}

// Misconfigured is a file whose network no ADD accepts.
type Misconfigured struct {
	Path string
	Name string // of the network; "" if the file cannot be read
	Err  error
}

// Misspelt is the error about a key that ADD ignores, and that is nearly one that it reads.
type Misspelt struct{ Key, Near string } // with their sections: "ipam.range", "ipam.ranges"

// Error names both.
func (m *Misspelt) Error() string {
	return fmt.Sprintf("key %s is not known; did you mean %s?", m.Key, m.Near)
}

// NotReady is a network of which every ADD fails, because the file of its key readyFile does not exist.
type NotReady struct {
	File string // absolute path
}

func (n *NotReady) Error() string { return fmt.Sprintf("ready file %s does not exist", n.File) }

// Shared is a segment, a bridge or a VLAN of one, that several networks of a directory have.
type Shared struct {
	Segment string // "br0", or "br0.100"
	Names   []string
}

// CheckNetworks returns the files of a configuration directory that cannot be read, those with a network of type
// patchbay that ADD would refuse, of which it ignores a key (Misspelt) or that waits for a file (NotReady), and those whose network has the name of one
// in an earlier file; and the segments that several networks have, sorted.
func CheckNetworks(dir string) (bad []Misconfigured, shared []Shared, err error) {
	c := &networkCheck{first: map[string]string{}, on: map[string][]string{}}
	err = eachNetwork(dir, c.see)
	for _, segment := range slices.Sorted(maps.Keys(c.on)) {
		if names := c.on[segment]; len(names) > 1 {
			shared = append(shared, Shared{segment, names})
		}
	}
	return c.bad, shared, err
}

// networkCheck is one CheckNetworks.
type networkCheck struct {
	bad   []Misconfigured
	first map[string]string   // path by name
	on    map[string][]string // names by segment
}

// see checks one file.
func (c *networkCheck) see(path string, n *Network, err error) {
	if err != nil {
		c.bad = append(c.bad, Misconfigured{Path: path, Err: err})
		return
	}
	if n == nil {
		return
	}
	if before := c.first[n.Name]; before != "" {
		c.bad = append(c.bad, Misconfigured{path, n.Name, fmt.Errorf("%s configures a network of the same name", before)})
	} else {
		c.first[n.Name] = path
	}
	cfg, unread, err := config.ParseAll(n.Config)
	if err != nil {
		c.bad = append(c.bad, Misconfigured{path, n.Name, err})
		return
	}
	if names := c.on[cfg.Segment()]; !slices.Contains(names, n.Name) {
		c.on[cfg.Segment()] = append(names, n.Name)
	}
	if _, failed := os.Stat(cfg.ReadyFile); cfg.ReadyFile != "" && errors.Is(failed, fs.ErrNotExist) {
		c.bad = append(c.bad, Misconfigured{path, n.Name, &NotReady{cfg.ReadyFile}})
	}
	for _, u := range unread {
		if near := Nearest(u.Key, u.Known); near != "" {
			c.bad = append(c.bad, Misconfigured{path, n.Name, &Misspelt{u.Section + u.Key, u.Section + near}})
		}
	}
}

// readNetwork reads one file. It returns nil if the file has no plugin of type patchbay.
func readNetwork(path string) (*Network, error) {
	text, err := safefile.Read(path, safefile.Rules{FollowLinks: true, AnyOwner: true}) // a mounted ConfigMap consists of symbolic links
	if err != nil {
		return nil, err
	}
	var l list
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, err
	}
	plugins := l.Plugins
	if plugins == nil {
		plugins = []json.RawMessage{text}
	}
	n := &Network{Name: l.Name, Path: path}
	for _, raw := range plugins {
		var plugin map[string]json.RawMessage
		if err := json.Unmarshal(raw, &plugin); err != nil {
			return nil, err
		}
		kind := ""
		if err := json.Unmarshal(plugin["type"], &kind); err != nil {
			return nil, fmt.Errorf("type: %w", err)
		}
		if kind != config.TypeName || n.Config != nil {
			n.Others = append(n.Others, kind)
			continue
		}
		if n.Config, err = complete(plugin, l.Name); err != nil {
			return nil, err
		}
	}
	if n.Config == nil {
		return nil, nil
	}
	return n, nil
}

// ReadFile returns the network that a file configures, wherever the file is.
func ReadFile(path string) (*Network, error) {
	n, err := readNetwork(path)
	if err != nil {
		return nil, withPath(path, err)
	}
	if n == nil {
		return nil, fmt.Errorf("%s: %w of type %s: its main plugin is another one, which creates its own interface", path, ErrNoNetwork, config.TypeName)
	}
	return n, nil
}

// complete adds to a plugin of a list what a runtime adds: the list's name and the CNI version, the newest one,
// since only this program reads the result.
func complete(plugin map[string]json.RawMessage, name string) ([]byte, error) {
	quoted, err := json.Marshal(name)
	if err != nil {
		return nil, err
	}
	plugin["name"], plugin["cniVersion"] = quoted, json.RawMessage(`"1.1.0"`)
	return json.Marshal(plugin)
}
