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
	for {
		now := time.Now()
		until, err := f.drawOn(out, &screen, view, now)
		if err != nil {
			return err
		}
		if ended, err := awaitChange(ctx, w.Changes(), resized, now, until); ended || err != nil {
			return err
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

// awaitChange waits until there is something new to draw: a change, another size of the terminal, or the end of a highlight at until. It
// returns at least leastInterval after the last picture was begun, at the time drawn. ended reports a signal.
func awaitChange(ctx context.Context, changes <-chan error, resized <-chan os.Signal, drawn, until time.Time) (ended bool, err error) {
	var plain <-chan time.Time // never, if nothing is highlighted
	if !until.IsZero() {
		plain = time.After(time.Until(until))
	}
	select {
	case <-ctx.Done():
		return true, nil
	case err = <-changes:
	case <-resized:
	case <-plain:
	}
	if err != nil {
		return false, err
	}
	select {
	case <-ctx.Done():
		return true, nil
	case <-time.After(time.Until(drawn.Add(leastInterval))):
	}
	select { // what has changed meanwhile is in the next picture
	case err = <-changes:
	default:
	}
	return false, err
}

// drawOn draws a view in the size that the terminal has now.
func (f *showFlags) drawOn(out io.Writer, screen *topo.Screen, view *topo.View, now time.Time) (time.Time, error) {
	_, rows, _ := sizeOf(out)
	title := "patchbay show --watch, " + now.Format(time.TimeOnly) + ", Ctrl-C ends"
	return screen.Draw(out, view, f.style(out), title, rows, now)
}
