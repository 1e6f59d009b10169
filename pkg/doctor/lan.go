package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/heldlock"
	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// SharedNetwork is a network of patchbay-lan on this host.
type SharedNetwork struct {
	Name       string
	Running    bool        // a process keeps its blocks
	Configured bool        // its network configuration exists
	Status     *lan.Status // what that process says; nil unless it runs and has said something that can be read
}

// sharedNetworks reports networks of patchbay-lan whose program does not run, and what a program that runs reports.
func (x *examination) sharedNetworks() (found []Finding, err error) {
	names := slices.Concat(namesOf(x.confDir, lan.ConflistSuffix), namesOf(lan.Dir, ".json"), namesOf(lan.Dir, ".lock"))
	slices.Sort(names)
	held, err := heldlock.Read() // after the names: a program that has ended since then has removed its files
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Compact(names) {
		n := SharedNetwork{Name: name, Running: held.Has(filepath.Join(lan.Dir, name+".lock")), Configured: exists(filepath.Join(x.confDir, name+lan.ConflistSuffix))}
		status := filepath.Join(lan.Dir, name+".json")
		switch {
		case n.Running:
			var failed error
			if n.Status, failed = readShared(status); failed != nil {
				err = errors.Join(err, fmt.Errorf("read the status of network %s: %w", name, failed))
			}
			found = append(found, n.problems(status)...)
		case n.Configured:
			found = append(found, Finding{
				Says: fmt.Sprintf("patchbay-lan does not run for network %s: other hosts may claim its blocks, and give the same addresses to their containers", name),
				Seen: filepath.Join(x.confDir, name+lan.ConflistSuffix) + " exists", Fix: restartShared(name),
			})
		case exists(status): // its end removes that file, unless it is killed
			found = append(found, Finding{
				Says: fmt.Sprintf("patchbay-lan does not run for network %s, which has no network configuration: no container gets an address of it", name),
				Seen: status + " is left over from a program that was killed", Fix: restartShared(name),
			})
		default:
			continue
		}
		x.shared = append(x.shared, n)
	}
	return found, err
}

func restartShared(name string) []string {
	return []string{printable.Command("systemctl", "restart", "patchbay-lan@"+name)}
}

// problems returns what a program that runs reports.
func (n SharedNetwork) problems(path string) (found []Finding) {
	if n.Status == nil {
		return nil
	}
	for _, problem := range n.Status.Problems {
		found = append(found, Finding{Says: fmt.Sprintf("network %s: %s", n.Name, problem), Seen: path, Fix: []string{"# " + printable.Command("patchbay-lan", "ls", n.Name)}})
	}
	return found
}

// readShared reads a status, nil if there is none: the program has just begun, or ended.
func readShared(path string) (*lan.Status, error) {
	text, err := safefile.Read(path, safefile.Rules{})
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := lan.ReadStatus(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &s, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// namesOf returns the names of the files of a directory that end in suffix, without it, sorted; none if the directory cannot be read.
func namesOf(dir, suffix string) (names []string) {
	fd, err := safefile.OpenDir(dir)
	if err != nil {
		return nil // the directory of networks has a check of its own
	}
	file := os.NewFile(uintptr(fd), dir)
	defer file.Close()
	entries, _ := file.Readdirnames(-1)
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e, suffix); ok && name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
