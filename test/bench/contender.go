package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
)

// contender is one way to attach containers.
type contender struct {
	name string
	verbs
	host     ns.NetNS
	free     []container // not attached; the next one first
	attached []container
	stay     []container // attached, and never detached
}

// verbs are the operations of a contender. del is nil if there is nothing to delete.
type verbs struct {
	add, del verb
}

// verb runs one operation for one container, on a thread in the contender's host namespace.
type verb func(context.Context, container) error

// need creates containers until n are free. It is not measured.
func (c *contender) need(n int, m *maker) error {
	for len(c.free) < n {
		one, err := m.container()
		if err != nil {
			return err
		}
		c.free = append(c.free, one)
	}
	return nil
}

// attach calls ADD for the next free container and returns its duration.
func (c *contender) attach(ctx context.Context) (time.Duration, error) {
	next := c.free[0]
	took, err := c.timed(ctx, c.add, next)
	if err != nil {
		return 0, fmt.Errorf("%s: ADD: %w", c.name, err)
	}
	c.free, c.attached = c.free[1:], append(c.attached, next)
	return took, nil
}

// detach calls DEL for the container that was attached last and returns its duration.
func (c *contender) detach(ctx context.Context) (time.Duration, error) {
	last := len(c.attached) - 1
	took, err := c.timed(ctx, c.del, c.attached[last])
	if err != nil {
		return 0, fmt.Errorf("%s: DEL: %w", c.name, err)
	}
	c.free, c.attached = append(c.free, c.attached[last]), c.attached[:last]
	return took, nil
}

// timed measures a verb without the change into the host namespace, which a real runtime does not make.
func (c *contender) timed(ctx context.Context, do verb, one container) (took time.Duration, err error) {
	if do == nil {
		return 0, nil
	}
	err = c.host.Do(func(ns.NetNS) error {
		start := time.Now()
		err := do(ctx, one)
		took = time.Since(start)
		return err
	})
	return took, err
}

// each calls a verb for all containers, width of them concurrently, and returns the total duration.
func (c *contender) each(ctx context.Context, do verb, width int, all []container) (time.Duration, error) {
	left := make(chan container, len(all))
	for _, one := range all {
		left <- one
	}
	close(left)
	worker := func(ns.NetNS) error {
		for one := range left {
			if err := do(ctx, one); err != nil {
				return fmt.Errorf("%s, %d at a time: %w", c.name, width, err)
			}
		}
		return nil
	}
	ended := make(chan error, width)
	start := time.Now()
	for range width {
		go func() { ended <- c.host.Do(worker) }()
	}
	var err error
	for range width {
		err = errors.Join(err, <-ended)
	}
	return time.Since(start), err
}

// fill attaches containers until n are attached, four at a time. It is not measured.
func (c *contender) fill(ctx context.Context, n int, m *maker) error {
	missing := n - len(c.attached)
	if err := c.need(missing+1, m); err != nil { // one more for the measurement
		return err
	}
	fresh := c.free[:missing]
	if _, err := c.each(ctx, c.add, 4, fresh); err != nil {
		return fmt.Errorf("ADD: %w", err)
	}
	c.attached, c.free = append(c.attached, fresh...), c.free[missing:]
	return nil
}
