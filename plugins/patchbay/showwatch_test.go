package main

import (
	"context"
	"os"
	"testing"
	"time"
)

// TestAwaitReason: whatever causes the next picture, it comes at least 200 ms after the last one; a signal ends at once, and so does
// the end of changes.
//
// Claim: `show --watch` draws again after each change of interfaces, addresses, routes and records, highlights what is new, and draws at most
// five times a second
func TestAwaitReason(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	changed, failed := make(chan struct{}, 1), make(chan struct{})
	changed <- struct{}{}
	close(failed)
	resized := make(chan os.Signal, 1)
	resized <- os.Interrupt
	for name, row := range map[string]struct {
		ctx     context.Context
		changes chan struct{}
		resized chan os.Signal
		until   time.Duration // after now; 0 for none
		ended   bool
		least   time.Duration
	}{
		"a change":           {ctx: t.Context(), changes: changed, least: leastInterval},
		"another size":       {ctx: t.Context(), resized: resized, least: leastInterval},
		"end of a highlight": {ctx: t.Context(), until: time.Millisecond, least: leastInterval},
		"a later highlight":  {ctx: t.Context(), until: 2 * leastInterval, least: 2 * leastInterval},
		"a signal":           {ctx: ended, ended: true},
		"no more changes":    {ctx: t.Context(), changes: failed, ended: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drawn := time.Now()
			var until time.Time
			if row.until > 0 {
				until = drawn.Add(row.until)
			}
			over := (&reasons{row.changes, row.resized}).await(row.ctx, drawn, until)
			if took := time.Since(drawn); over != row.ended || took < row.least {
				t.Errorf("ended %t after %v", over, took)
			}
		})
	}
}
