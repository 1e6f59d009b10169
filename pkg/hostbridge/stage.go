package hostbridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/pkg/uplink"
)

// The stages of a bridge that is not decided on; each is the suffix of its file.
const (
	setup = ".setup"
	wait  = ".wait"
	undo  = ".undo"
)

func stages() []string { return []string{setup, wait, undo} }

// record is the content of the file.
type record struct {
	Boot  string        `json:"boot"` // boot ID: indexes are valid until the next boot
	State *uplink.State `json:"state"`

	Timeout time.Duration `json:"timeout"` // for the decision, from the rename to wait on
}

// save writes the state of an uplink in a stage, with the time for the decision.
func (d *dir) save(s *uplink.State, stage string, timeout time.Duration) error {
	text, err := json.Marshal(record{store.BootID(), s, timeout})
	if err != nil {
		return err
	}
	return d.write(s.Bridge+stage, text)
}

// load reads the state of a bridge in whichever stage it is; nil if there is none, or one of the previous boot.
func (d *dir) load(bridge string) (*uplink.State, error) {
	for _, stage := range stages() {
		r, err := read(bridge + stage)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the state of %s: %w", bridge, err)
		}
		if r.Boot != store.BootID() || r.State == nil {
			return nil, d.forget(bridge, stages()...)
		}
		return r.State, nil
	}
	return nil, nil
}

func read(name string) (r record, err error) {
	text, err := safefile.Read(filepath.Join(Dir, name), safefile.Rules{MaxBytes: 64 << 20})
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// forget removes the files of a bridge in some stages.
func (d *dir) forget(bridge string, some ...string) (err error) {
	for _, stage := range some {
		if failed := d.remove(bridge + stage); !errors.Is(failed, os.ErrNotExist) {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// claim makes undo the stage, and reports whether it is: false if the bridge was kept, or restored already.
func (d *dir) claim(bridge string) (mine bool) {
	for _, stage := range []string{setup, wait} {
		if d.rename(bridge+stage, bridge+undo) == nil {
			return true
		}
	}
	return false
}

// undecided returns the names of the bridges that have a file, sorted, by stage.
func (d *dir) undecided() (map[string]string, error) {
	names, err := safefile.Names(Dir, 1000)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	found := map[string]string{}
	for _, name := range names {
		for _, stage := range stages() {
			if bridge, ok := strings.CutSuffix(name, stage); ok && bridge != "" {
				found[bridge] = stage
			}
		}
	}
	return found, nil
}

// restore restores the uplink and removes the file.
func (d *dir) restore(k *uplink.Kernel, s *uplink.State) error {
	if err := k.Restore(s); err != nil {
		return fmt.Errorf("restore %s: %w; try again: %s", s.Uplink, err, deleteCommand(s.Bridge))
	}
	return d.forget(s.Bridge, stages()...)
}

// unfinished returns the error about a bridge whose processes were both killed.
func unfinished(bridge string) error {
	return fmt.Errorf("bridge %s is not finished, because its processes were killed; restore its uplink: %s", bridge, deleteCommand(bridge))
}

// busy returns an ErrBusy that names the bridge of the other process, and what it waits for.
func (d *dir) busy() error {
	found, _ := d.undecided() // for the text alone
	for bridge, stage := range found {
		switch stage {
		case setup:
			return fmt.Errorf("%w: bridge %s is still being set up; try again in a few seconds", ErrBusy, bridge)
		case undo:
			return fmt.Errorf("%w: bridge %s is being removed; try again in a few seconds", ErrBusy, bridge)
		}
		return fmt.Errorf("%w: bridge %s waits for a confirmation; %s keeps it, Ctrl-C in the command that creates it removes it, and it is removed without either%s",
			ErrBusy, bridge, printable.Command("patchbay", "bridge", "confirm", printable.Name(bridge)), left(bridge))
	}
	return fmt.Errorf("%w; try again in a few seconds", ErrBusy)
}

// left returns the time until a bridge is removed, as the end of a sentence; "" if it is not known. The kernel has the time of the rename
// that began it.
func left(bridge string) string {
	r, err := read(bridge + wait)
	var stat unix.Stat_t
	if err == nil {
		err = unix.Lstat(filepath.Join(Dir, bridge+wait), &stat)
	}
	if err != nil {
		return ""
	}
	rest := r.Timeout - time.Since(time.Unix(stat.Ctim.Unix()))
	return fmt.Sprintf(" in %v", min(max(rest, 0), r.Timeout).Round(time.Second)) // the clock may have been set
}

func deleteCommand(bridge string) string {
	return printable.Command("patchbay", "bridge", "delete", printable.Name(bridge))
}
