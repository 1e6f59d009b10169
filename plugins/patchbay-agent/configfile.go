package main

import (
	"bytes"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// configFile is the configuration of the cluster and the file that it is read from, which a ConfigMap replaces while the program runs.
type configFile struct {
	path    string
	text    []byte
	cluster *cluster.Config
	err     error // of the last refresh; nil if cluster is what the file has
}

// read reads the file.
func (c *configFile) read() error {
	text, err := safefile.Read(c.path, safefile.Rules{FollowLinks: true}) // a ConfigMap is mounted as links
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if c.cluster != nil && bytes.Equal(text, c.text) {
		return nil
	}
	parsed, err := cluster.ParseConfig(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	c.text, c.cluster = text, parsed
	return nil
}

// refresh reads the file again. A file that cannot be used changes nothing and is reported.
func (c *configFile) refresh() { c.err = c.read() }
