package main

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// TestAwaitChange: whatever causes the next picture, it comes at least 200 ms after the last one; a signal ends at once, and an error is
// returned.
//
// Claim: `show --watch` draws again after each change of interfaces, addresses, routes and records, highlights what is new, and draws at most
// five times a second
func TestAwaitChange(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	failed := errors.New("no more changes")
	change := func(err error) chan error {
		c := make(chan error, 1)
		c <- err
		return c
	}
	resized := make(chan os.Signal, 1)
	resized <- os.Interrupt
	for name, row := range map[string]struct {
		ctx     context.Context
		changes chan error
		resized chan os.Signal
		until   time.Duration // after now; 0 for none
		ended   bool
		err     error
		least   time.Duration
	}{
		"a change":           {ctx: t.Context(), changes: change(nil), least: leastInterval},
		"another size":       {ctx: t.Context(), resized: resized, least: leastInterval},
		"end of a highlight": {ctx: t.Context(), until: time.Millisecond, least: leastInterval},
		"a later highlight":  {ctx: t.Context(), until: 2 * leastInterval, least: 2 * leastInterval},
		"a signal":           {ctx: ended, ended: true},
		"an error":           {ctx: t.Context(), changes: change(failed), err: failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drawn := time.Now()
			var until time.Time
			if row.until > 0 {
				until = drawn.Add(row.until)
			}
			over, err := awaitChange(row.ctx, row.changes, row.resized, drawn, until)
			if took := time.Since(drawn); over != row.ended || !errors.Is(err, row.err) || took < row.least {
				t.Errorf("ended %t, error %v, after %v", over, err, took)
			}
		})
	}
}
