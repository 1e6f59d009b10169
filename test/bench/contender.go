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
	free     []container // the next one first
	attached []container
	stay     []container // attached too, and never detached
}

// verbs are what a contender can do. del is nil where there is nothing to take away.
type verbs struct {
	add, del verb
}

// verb does one thing to one container, on a thread that is in the contender's host.
type verb func(context.Context, container) error

// need makes containers until n are free. It is never part of a measurement.
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

// attach does an ADD for the next free container and returns how long it took.
func (c *contender) attach(ctx context.Context) (time.Duration, error) {
	next := c.free[0]
	took, err := c.timed(ctx, c.add, next)
	if err != nil {
		return 0, fmt.Errorf("%s: ADD: %w", c.name, err)
	}
	c.free, c.attached = c.free[1:], append(c.attached, next)
	return took, nil
}

// detach does a DEL for the container that was attached last and returns how long it took.
func (c *contender) detach(ctx context.Context) (time.Duration, error) {
	last := len(c.attached) - 1
	took, err := c.timed(ctx, c.del, c.attached[last])
	if err != nil {
		return 0, fmt.Errorf("%s: DEL: %w", c.name, err)
	}
	c.free, c.attached = append(c.free, c.attached[last]), c.attached[:last]
	return took, nil
}

// timed leaves out the way into the host, which for a real runtime is no way at all.
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

// each does a verb for all of some containers, width at a time, and returns how long all took.
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

// fill attaches containers until n are attached, four at a time. It is never part of a measurement.
func (c *contender) fill(ctx context.Context, n int, m *maker) error {
	missing := n - len(c.attached)
	if err := c.need(missing+1, m); err != nil { // one more, to measure with
		return err
	}
	fresh := c.free[:missing]
	if _, err := c.each(ctx, c.add, 4, fresh); err != nil {
		return fmt.Errorf("ADD: %w", err)
	}
	c.attached, c.free = append(c.attached, fresh...), c.free[missing:]
	return nil
}
