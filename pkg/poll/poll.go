// Package poll waits for file descriptors in a goroutine, and passes on that something has happened. It does not say what: the caller's
// function reads the descriptors.
//
//	l, err := poll.Start(poll.Source{FDs: []int{fd}, Read: func(ready []bool) (happened bool, err error) { ... }, Close: closeAll})
//	for range l.Happened() {
//		...
//	}
//	err = l.Err()
package poll

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Source is what a Loop waits for.
type Source struct {
	FDs   []int                                         // descriptors that become readable
	Read  func(ready []bool) (happened bool, err error) // called when one is; ready has the order of FDs. An error ends the Loop
	Close func()                                        // called once, when the Loop has ended
}

// Loop is a goroutine that waits. Its methods are for one goroutine.
type Loop struct {
	source   Source
	stop     int // eventfd(2) that ends the goroutine
	happened chan struct{}
	err      error // set before happened is closed
}

// Start begins to wait. After an error the source is closed.
func Start(s Source) (*Loop, error) {
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	l := &Loop{source: s, stop: stop, happened: make(chan struct{}, 1)}
	go l.run()
	return l, nil
}

// Happened returns the channel of events: a value stands for any number of them since the last value was received. It is closed if no
// more can be noticed.
func (l *Loop) Happened() <-chan struct{} { return l.happened }

// Err returns why Happened is closed, nil if it is not.
func (l *Loop) Err() error {
	select {
	case _, open := <-l.happened:
		if !open {
			return l.err
		}
	default:
	}
	return nil
}

// Close ends the waiting. The goroutine closes the source.
func (l *Loop) Close() { _, _ = unix.Write(l.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// run waits until Close, or until an error.
func (l *Loop) run() {
	defer func() {
		l.source.Close()
		unix.Close(l.stop)
	}()
	fds := []unix.PollFd{{Fd: int32(l.stop), Events: unix.POLLIN}}
	for _, fd := range l.source.FDs {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	ready := make([]bool, len(l.source.FDs))
	for {
		if _, err := unix.Poll(fds, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			l.fail(fmt.Errorf("wait for changes: %w", err))
			return
		}
		if fds[0].Revents != 0 {
			return
		}
		for i := range ready {
			ready[i] = fds[i+1].Revents != 0
		}
		happened, err := l.source.Read(ready)
		if err != nil {
			l.fail(err)
			return
		}
		if happened {
			l.pass()
		}
	}
}

// pass passes an event on, unless one is waiting to be received.
func (l *Loop) pass() {
	select {
	case l.happened <- struct{}{}:
	default:
	}
}

func (l *Loop) fail(err error) {
	l.err = err
	close(l.happened)
}
