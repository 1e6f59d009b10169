package hostbridge

import (
	"errors"
	"fmt"
	"os"
)

// ErrNothing reports that no bridge waits for a confirmation.
var ErrNothing = errors.New("no bridge waits for a confirmation")

// Confirm keeps the bridge that a running Create waits for, and returns its name. A name that is not "" must be that.
func Confirm(name string) (bridge string, err error) {
	d, err := openDir(false)
	if errors.Is(err, os.ErrNotExist) {
		return "", ErrNothing
	}
	if err != nil {
		return "", err
	}
	defer d.close()
	found, err := d.undecided()
	if err != nil {
		return "", err
	}
	for bridge, stage := range found {
		if name != "" && name != bridge {
			continue
		}
		return bridge, d.confirm(bridge, stage)
	}
	return "", ErrNothing
}

// Undecided returns the ErrBusy of Create if a bridge is being created or deleted, or waits for a confirmation, and an error with the
// remedy if the processes that did so were killed.
func Undecided() error {
	d, err := openDir(false)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.close()
	lock, err := d.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	found, err := d.undecided()
	for bridge := range found {
		return unfinished(bridge)
	}
	return err
}

func (d *dir) confirm(bridge, stage string) error {
	lock, err := d.lock()
	if err == nil {
		lock.Close()
		return unfinished(bridge)
	}
	switch {
	case !errors.Is(err, ErrBusy):
		return err
	case stage == setup:
		return fmt.Errorf("bridge %s is still being set up; confirm it when its gateway answers", bridge)
	case stage == undo:
		return fmt.Errorf("bridge %s is being removed; it is too late to confirm it", bridge)
	}
	return d.remove(bridge + wait)
}
