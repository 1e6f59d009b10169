package netconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// The programs whose configuration Files writes.
const (
	Networkd       = "networkd"
	NetworkManager = "NetworkManager"
	Netplan        = "netplan"
	Ifupdown       = "ifupdown"
)

// Programs returns their names.
func Programs() []string { return []string{Networkd, NetworkManager, Netplan, Ifupdown} }

// ErrUnknown reports a program that is none of Programs.
var ErrUnknown = errors.New("unknown program")

// Files returns the files that make a program create the bridge at boot, and notes about what they lack and which files that
// exist configure the port as well.
func Files(program string, b *Bridge) ([]File, []string, error) {
	if !printable.IsPlain(b.Name) || !printable.IsPlain(b.Port) {
		return nil, nil, fmt.Errorf("write the configuration of %q and %q: names with other characters than letters, digits and ._- need an editor", b.Name, b.Port)
	}
	format, known := formats()[program]
	if !known {
		return nil, nil, fmt.Errorf("%w %q: use one of %s", ErrUnknown, program, strings.Join(Programs(), ", "))
	}
	files, notes := format(b)
	for _, path := range others(program, b.Port, files) {
		notes = append(notes, fmt.Sprintf("%s names %s as well: remove its addresses there", path, b.Port))
	}
	return files, notes, nil
}

func formats() map[string]func(*Bridge) ([]File, []string) {
	return map[string]func(*Bridge) ([]File, []string){Networkd: networkd, NetworkManager: manager, Netplan: netplan, Ifupdown: ifupdown}
}

// Written returns the paths of the files that exist for a bridge, of any program, and that Write wrote: they have its first line.
func Written(bridge, port string) (paths []string) {
	if !printable.IsPlain(bridge) || !printable.IsPlain(port) {
		return nil
	}
	for _, program := range Programs() {
		files, _ := formats()[program](&Bridge{Name: bridge, Port: port})
		for _, f := range files {
			if isOurs(f.Path) {
				paths = append(paths, f.Path)
			}
		}
	}
	return paths
}

// isOurs reports whether a file has the first line of those that Write writes.
func isOurs(path string) bool {
	content, err := safefile.Read(path, safefile.Rules{FollowLinks: true, AnyOwner: true})
	return err == nil && strings.HasPrefix(string(content), heading+"\n")
}

// others returns the files of a program that exist and name an interface.
func others(program, port string, ours []File) (found []string) {
	dirs := map[string][]string{
		Networkd: {"/etc/systemd/network", "/run/systemd/network"}, NetworkManager: {"/etc/NetworkManager/system-connections"},
		Netplan: {"/etc/netplan"}, Ifupdown: {"/etc/network/interfaces.d"},
	}[program]
	paths := []string{}
	if program == Ifupdown {
		paths = append(paths, "/etc/network/interfaces")
	}
	const most = 1000
	for _, dir := range dirs {
		names, err := safefile.Names(dir, most)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			found = append(found, dir+" (which cannot be read)")
		}
		slices.Sort(names)
		for _, name := range names {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	for _, path := range paths {
		content, err := safefile.Read(path, safefile.Rules{FollowLinks: true, AnyOwner: true})
		if err == nil && namesWord(string(content), port) && !slices.ContainsFunc(ours, func(f File) bool { return f.Path == path }) {
			found = append(found, path)
		}
	}
	return found
}

// namesWord reports whether a text has a word.
func namesWord(content, word string) bool {
	return slices.Contains(strings.FieldsFunc(content, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r)
	}), word)
}
