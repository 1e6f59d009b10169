package hostbridge

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/uplink"
)

// decide waits until the bridge is kept or not.
func (c *creation) decide(ctx context.Context, o Options, answer <-chan bool) error {
	confirmed, err := c.confirmed()
	if err != nil {
		return c.goBack(err)
	}
	var stopped atomic.Bool
	defer stopped.Store(true)
	lost := make(chan error, 1)
	go func() { lost <- uplink.Watch(c.state, stopped.Load) }()
	for {
		select {
		case <-confirmed:
			if !c.dir.exists(o.Bridge + wait) {
				return c.outcome(o)
			}
		case yes, said := <-answer:
			if said && yes {
				return c.keep()
			}
			if said {
				return c.goBack(errors.New("the answer was no"))
			}
			answer = nil // the end of input is no answer
		case err := <-lost:
			return c.goBack(err)
		case <-ctx.Done():
			return c.goBack(errors.New("interrupted"))
		case <-c.other.ended:
			return c.outcome(o)
		}
	}
}

// outcome returns what became of the bridge when its file is gone or the watchdog has ended: it was confirmed, or the time was over, or
// the watchdog was killed.
func (c *creation) outcome(o Options) error {
	overdue := fmt.Errorf("no confirmation within %v", o.Timeout)
	switch {
	case c.dir.exists(o.Bridge + undo):
		return c.goBack(overdue)
	case c.dir.exists(o.Bridge + wait):
		return c.goBack(errors.New("the watchdog was killed"))
	case c.kernel.Made(o.Bridge):
		return nil
	}
	return c.without(overdue, nil)
}

// confirmed returns a channel that gets a value when the file of the bridge may have been removed.
func (c *creation) confirmed() (<-chan struct{}, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err == nil {
		_, err = unix.InotifyAddWatch(fd, Dir, unix.IN_DELETE|unix.IN_MOVED_FROM)
	}
	if err != nil {
		return nil, fmt.Errorf("wait for the confirmation: %w", err)
	}
	events := make(chan struct{}, 1)
	events <- struct{}{} // it may have come before
	go func() {
		for buffer := make([]byte, 4096); ; {
			if n, err := unix.Read(fd, buffer); n <= 0 && !errors.Is(err, unix.EINTR) {
				return
			}
			events <- struct{}{}
		}
	}()
	return events, nil
}
