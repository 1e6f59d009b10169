package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/config"
)

// DefaultConfDir is where runtimes look for networks.
const DefaultConfDir = "/etc/cni/net.d"

// Network is a network that a person can name.
type Network struct {
	Name   string
	Path   string   // of the file that it is in; "" for the one that needs none
	Config []byte   // the plugin's configuration, as a runtime passes it on stdin
	Others []string // types of the list's other plugins, which are not called
}

// ErrNoNetwork is wrapped where no network has the name that was asked for.
var ErrNoNetwork = errors.New("no such network")

// list is a file of a configuration directory: a list of plugins, or one plugin alone.
type list struct {
	Name    string            `json:"name"`
	Type    string            `json:"type"`
	Plugins []json.RawMessage `json:"plugins"`
}

// Networks are those of a configuration directory that patchbay makes, in the order of the files'
// names, which is the order in which runtimes take them. Files that cannot be read are in the error,
// and the others are returned with it. A directory that does not exist has none.
func Networks(dir string) ([]Network, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for networks: %w", err)
	}
	var all []Network
	var failed error
	for _, e := range entries {
		if !slices.Contains([]string{".conflist", ".conf", ".json"}, filepath.Ext(e.Name())) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		n, err := readNetwork(path)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", path, err))
		}
		if n != nil {
			all = append(all, *n)
		}
	}
	return all, failed
}

// readNetwork reads one file; nil if it is not about patchbay.
func readNetwork(path string) (*Network, error) {
	text, err := os.ReadFile(path)
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

// complete gives a plugin of a list what a runtime adds: the list's name, and a version, of which
// the newest serves: nobody but us reads the result.
func complete(plugin map[string]json.RawMessage, name string) ([]byte, error) {
	quoted, err := json.Marshal(name)
	if err != nil {
		return nil, err
	}
	plugin["name"], plugin["cniVersion"] = quoted, json.RawMessage(`"1.1.0"`)
	return json.Marshal(plugin)
}

// Find returns the network of a name, or, for "", the only one that there is; where none is
// configured, that is the default. Errors wrap ErrNoNetwork and name those that there are.
func Find(dir, name string) (*Network, error) {
	all, err := Networks(dir)
	for _, n := range all {
		if n.Name == name || name == "" && len(all) == 1 {
			return &n, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if name == DefaultName || name == "" && len(all) == 0 {
		return defaultNetwork()
	}
	names := []string{DefaultName}
	for _, n := range all {
		names = append(names, n.Name)
	}
	if name == "" {
		return nil, fmt.Errorf("%w without a name: there are %s in %s: say which with --network", ErrNoNetwork, strings.Join(names[1:], ", "), dir)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w as %q: there is none of patchbay in %s; %s needs no file", ErrNoNetwork, name, dir, DefaultName)
	}
	return nil, fmt.Errorf("%w as %q: there are %s in %s; %s needs no file%s", ErrNoNetwork, name, strings.Join(names[1:], ", "), dir, DefaultName, didYouMean(name, names))
}
