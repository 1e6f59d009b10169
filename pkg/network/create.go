package network

import (
	"fmt"
	"path/filepath"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// Created is a network that Create wrote, or that Plan would write.
type Created struct {
	Path   string // of the file
	Config []byte // of the file, JSON
	Bridge string
	First  bool // no other file of the directory sorts before: runtimes use this network for every pod
}

// Plan returns what Create would write, and changes nothing.
func Plan(dir string, s Spec) (Created, error) {
	if err := s.check(); err != nil {
		return Created{}, err
	}
	d, err := openDir(dir)
	if err != nil {
		return Created{}, err
	}
	defer d.close()
	return d.plan(s)
}

// Create writes the configuration of a network into a directory, which it creates if it does
// not exist. Errors wrap ErrInvalid for a Spec that no host can have, and ErrTaken for a name,
// subnet or bridge that another network or the host has; nothing is written then.
func Create(dir string, s Spec) (Created, error) {
	if err := s.check(); err != nil {
		return Created{}, err
	}
	d, err := makeDir(dir)
	if err != nil {
		return Created{}, err
	}
	defer d.close()
	if err := d.lock(); err != nil {
		return Created{}, err
	}
	c, err := d.plan(s)
	if err != nil {
		return Created{}, err
	}
	return c, d.write(filepath.Base(c.Path), c.Config)
}

// plan chooses what the caller of Plan or Create has not, and returns the file.
func (d *dir) plan(s Spec) (Created, error) {
	others, err := d.files()
	if err != nil {
		return Created{}, err
	}
	host, err := link.OpenHost()
	if err != nil {
		return Created{}, err
	}
	defer host.Close()
	c := choice{Spec: s, host: host, others: others}
	if err := c.choose(); err != nil {
		return Created{}, err
	}
	text, err := c.conflist()
	if err != nil {
		return Created{}, fmt.Errorf("encode network %s: %w", s.Name, err)
	}
	name := fileName(s.Name)
	first := true
	for _, f := range others {
		first = first && filepath.Base(f.Path) > name
	}
	return Created{filepath.Join(d.path, name), text, c.Bridge, first}, nil
}

// fileName returns the name of the file of a network. Files of runtimes have lower numbers,
// so that theirs stays the first one.
func fileName(network string) string { return "90-" + network + ".conflist" }
