package restore

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/upkeep"
)

// Options says what Run watches and how it reports.
type Options struct {
	StateDir string
	Report   func(sentence string) // what was restored and why, and errors
	Ready    func()                // called once, when the host is as the records say and is watched
	Again    <-chan os.Signal      // each value asks for a restoration of everything
	Files    func() []string       // restores files that other programs do not change, at the beginning and when Again asks; returns sentences for Report
}

// The times of Run.
const (
	settle = 100 * time.Millisecond // from a change to the restoration: a program often makes several
	burst  = 3                      // restorations without a pause, and at most as many seconds later again
	retry  = 10 * time.Second       // after a restoration that failed
)

// Run restores the host as upkeep.Reload does, and again after each change of another program that removes something, until ctx
// is done, which is no error. It returns an error if the kernel does not notify changes, at the beginning or later; a restoration
// that fails is reported and repeated.
func Run(ctx context.Context, o Options) error {
	e, err := subscribe() // before the first restoration: what is removed after it is not missed
	if err != nil {
		return err
	}
	defer e.loop.Close()
	l := &loop{Options: o, todo: need{links: true, rules: true}}
	l.act(ctx)
	l.files()
	o.Ready()
	for asked := false; ; asked = false {
		var again <-chan time.Time
		if l.failed {
			again = time.After(retry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.Again:
			asked = true
			l.todo.add(need{links: true, rules: true, causes: []string{"a signal asked for it"}})
		case <-again:
		case _, open := <-e.loop.Happened():
			if !open {
				return e.loop.Err()
			}
		}
		if !wait(ctx, max(settle, time.Until(l.recent[0].Add(burst*time.Second)))) {
			return nil
		}
		l.todo.add(e.take())
		l.act(ctx)
		if asked {
			l.files()
		}
	}
}

// wait returns false if ctx is done before the time is over.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// loop is one Run.
type loop struct {
	Options
	todo   need
	failed bool             // the last restoration failed, and todo is still to be done
	recent [burst]time.Time // when the last restorations ended, the oldest first
}

// files restores files, and reports them.
func (l *loop) files() {
	for _, sentence := range l.Files() {
		l.Report(sentence)
	}
}

// act restores what is to be done, and reports it.
func (l *loop) act(ctx context.Context) {
	if !l.todo.links && !l.todo.rules {
		return
	}
	restore := upkeep.ReloadLinks
	if l.todo.rules {
		restore = upkeep.Reload
	}
	begun := time.Now()
	done, err := restore(context.WithoutCancel(ctx), l.StateDir) // a signal does not interrupt it
	took := time.Since(begun)
	copy(l.recent[:], l.recent[1:])
	l.recent[burst-1] = begun.Add(took)
	l.todo.explain(done)
	if len(l.todo.causes) > 0 {
		l.Report(fmt.Sprintf("%s; %s in %d ms", strings.Join(l.todo.causes, "; "), map[bool]string{true: "restored", false: "not restored"}[err == nil], took.Milliseconds()))
	}
	for _, sentence := range done {
		l.Report(sentence)
	}
	if l.failed = err != nil; l.failed {
		l.Report(fmt.Sprintf("restore: %s; next attempt in %v", report.OneLine(err), retry))
		return
	}
	l.todo = need{}
}
