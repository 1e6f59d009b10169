package doctor

import (
	"encoding/json"
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

// sharedNetworks reports networks of patchbay-lan whose program does not run, and what a program that runs reports.
func (x *examination) sharedNetworks() (found []Finding, err error) {
	held, err := heldlock.Read()
	if err != nil {
		return nil, err
	}
	for _, name := range namesOf(x.confDir, lan.ConflistSuffix) {
		if !held.Has(filepath.Join(lan.Dir, name+".lock")) {
			found = append(found, Finding{
				Says: fmt.Sprintf("patchbay-lan does not run for network %s: other hosts may claim its blocks, and give the same addresses to their containers", name),
				Seen: filepath.Join(x.confDir, name+lan.ConflistSuffix) + " exists",
				Fix:  []string{printable.Command("systemctl", "restart", "patchbay-lan@"+name)},
			})
		}
	}
	for _, name := range namesOf(lan.Dir, ".json") {
		path := filepath.Join(lan.Dir, name+".json")
		text, failed := safefile.Read(path, safefile.Rules{})
		if !held.Has(filepath.Join(lan.Dir, name+".lock")) || errors.Is(failed, os.ErrNotExist) {
			continue
		}
		var s lan.Status
		if failed == nil {
			failed = json.Unmarshal(text, &s)
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("read the status of network %s: %w", name, failed))
		}
		for _, problem := range s.Problems {
			found = append(found, Finding{Says: fmt.Sprintf("network %s: %s", name, problem), Seen: path, Fix: []string{"# " + printable.Command("patchbay-lan", "ls", name)}})
		}
	}
	return found, err
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
