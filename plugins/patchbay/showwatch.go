package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/topo"
	"github.com/patchbay-cni/patchbay/pkg/watch"
)

// leastInterval is the least time between two pictures: at most five in a second, whatever number of changes there is.
const leastInterval = 200 * time.Millisecond

// namedNetns is the directory of named network namespaces, see ip-netns(8).
const namedNetns = "/run/netns"

// runWatch draws again after each change until a signal, which is no error. The terminal is as before when it returns.
func (f *showFlags) runWatch(out io.Writer, format string) error {
	if err := watchable(out, format); err != nil {
		return err
	}
	ctx := interruptible()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	w, err := watch.Start(f.stateDir, namedNetns)
	if err != nil {
		return err
	}
	defer w.Close()
	w.Follow()
	view, err := f.gather()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, topo.EnterScreen); err != nil {
		return err
	}
	defer func() { _, _ = io.WriteString(out, topo.LeaveScreen) }()
	var screen topo.Screen
	next := &reasons{w.Changes(), resized}
	for {
		now := time.Now()
		until, err := f.drawOn(out, &screen, view, now)
		if err != nil {
			return err
		}
		if next.await(ctx, now, until) {
			return w.Err()
		}
		w.Follow()
		if view, err = f.gather(); err != nil {
			view = &topo.View{Problems: []topo.Problem{{About: "patchbay show", Text: oneLine(err)}}}
		}
	}
}

// watchable returns why a picture cannot be drawn again and again, nil if it can.
func watchable(out io.Writer, format string) error {
	_, _, terminal := sizeOf(out)
	switch {
	case format != "text":
		return fmt.Errorf("--watch draws text on a terminal: omit it, or --output %s", format)
	case !terminal:
		return errors.New("--watch needs a terminal, and standard output is none: omit it to draw once")
	case os.Getenv("TERM") == "dumb":
		return errors.New("--watch needs a terminal whose screen can be cleared, and TERM is dumb: omit it to draw once")
	}
	return nil
}

// reasons are what the next picture can be drawn for, besides the end of a highlight.
type reasons struct {
	changes <-chan struct{}
	resized <-chan os.Signal // the terminal has another size
}

// await waits until there is a reason to draw, or until a highlight ends, if until is not zero. It returns at least leastInterval after the
// last picture was begun, at the time drawn. ended reports a signal, or that no more changes can be noticed.
func (r *reasons) await(ctx context.Context, drawn, until time.Time) (ended bool) {
	var plain <-chan time.Time // never, if nothing is highlighted
	if !until.IsZero() {
		plain = time.After(time.Until(until))
	}
	more := true
	select {
	case <-ctx.Done():
		return true
	case _, more = <-r.changes:
	case <-r.resized:
	case <-plain:
	}
	if !more {
		return true
	}
	select {
	case <-ctx.Done():
		return true
	case <-time.After(time.Until(drawn.Add(leastInterval))):
	}
	select { // what has changed meanwhile is in the next picture
	case _, more = <-r.changes:
	default:
	}
	return !more
}

// drawOn draws a view in the size that the terminal has now.
func (f *showFlags) drawOn(out io.Writer, screen *topo.Screen, view *topo.View, now time.Time) (time.Time, error) {
	_, rows, _ := sizeOf(out)
	title := "patchbay show --watch, " + now.Format(time.TimeOnly) + ", Ctrl-C ends"
	return screen.Draw(out, view, f.style(out), topo.Moment{Title: title, Rows: rows, Now: now})
}
