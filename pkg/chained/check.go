package chained

import (
	"context"
	"errors"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

func (c *checking) differ(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

// Check compares the part of the plugin with the kernel, and returns differences as a *attach.DriftError.
func (p Plugin) Check(ctx context.Context, req attach.Request) error {
	ctx = attach.Within(ctx)
	cfg, err := p.configuration(req)
	if err != nil {
		return err
	}
	if !p.part.wanted(cfg) {
		return nil
	}
	key := req.Key(cfg.Name)
	state, err := store.OpenExisting(ctx, dirsOf(cfg.Ident, key), key)
	if err != nil {
		return err
	}
	defer func() { _ = state.Close() }() // it only holds the lock
	c := &checking{req: &req, cfg: cfg, record: state.Record}
	if state.Record == nil {
		c.differ("there is no record of container %s with %s on network %s", req.ContainerID, req.IfName, cfg.Name)
		return &attach.DriftError{Found: c.found, Unrecorded: state.Broken == nil}
	}
	if err := c.run(p.part); err != nil || len(c.found) == 0 {
		return err
	}
	return &attach.DriftError{Found: c.found, Reloadable: c.reloadable}
}

// run compares namespace and interface, and then the part.
func (c *checking) run(p part) (err error) {
	if c.host, err = link.OpenHost(); err != nil {
		return err
	}
	defer c.host.Close()
	if c.sandbox, err = link.OpenSandbox(c.req.Netns, c.req.HostNetnsAllowed); err != nil {
		return err
	}
	defer c.sandbox.Close()
	if c.record.Role != store.RoleIPAM && !c.record.IsNamespace(c.sandbox.Cookie(), c.sandbox.Inode()) {
		c.differ("%s is not the network namespace that was attached", c.req.Netns)
	}
	if err := c.interfaces(); err != nil {
		return err
	}
	return p.check(c)
}

// interfaces checks that both ends exist. The main plugin checks everything else about them.
func (c *checking) interfaces() error {
	if _, err := c.sandbox.Link(c.req.IfName); errors.Is(err, link.ErrNotFound) {
		c.differ("%s no longer exists in the container", c.req.IfName)
	} else if err != nil {
		return err
	}
	if c.record.HostLink == "" {
		return nil
	}
	_, err := liveness.New(c.host).HostInterface(c.record)
	if errors.Is(err, link.ErrNotFound) {
		c.differ("host link %s no longer exists", c.record.HostLink)
		return nil
	}
	return err
}

// elements compares the elements of a record that has one part only with nftables.
func (c *checking) elements(only *store.Record) error {
	lost, err := ruleset.Missing(only)
	for _, sentence := range lost {
		c.reloadable = true
		c.differ("%s", sentence)
	}
	return err
}
