package hostbridge

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/uplink"
)

const (
	setupTimeout = 45 * time.Second // for Create to move everything, the longest waits of pkg/uplink included
	undoTimeout  = 30 * time.Second // for Create to restore, before the watchdog kills it
)

// Watch runs the watchdog of a bridge, which Create and Delete start. It returns when the bridge is decided on.
func Watch(bridge string, timeout time.Duration) error {
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGTERM) // the other process decides, as long as it runs
	in, out := os.NewFile(fromParent, "pipe"), os.NewFile(toParent, "pipe")
	d, err := openDir(false)
	if err != nil {
		return err
	}
	s, err := d.load(bridge)
	if err != nil || s == nil {
		return errors.Join(err, fmt.Errorf("%s: no state of an uplink; patchbay bridge create starts the watchdog", bridge))
	}
	k, err := uplink.Open()
	if err != nil {
		return err
	}
	g := &guard{dir: d, kernel: k, state: s, out: out, words: make(chan byte)}
	go g.listen(in)
	if _, err := out.Write([]byte{ready}); err != nil {
		return nil //nolint:nilerr // the other process has ended, and has changed nothing
	}
	return g.run(timeout)
}

// guard is the state of a running watchdog.
type guard struct {
	dir    *dir
	kernel *uplink.Kernel
	state  *uplink.State
	out    *os.File
	words  chan byte // closed when the other process has ended
}

func (g *guard) listen(in *os.File) {
	defer close(g.words)
	for word := make([]byte, 1); ; {
		if n, err := in.Read(word); n == 0 || err != nil {
			return
		}
		g.words <- word[0]
	}
}

// run waits for the other process or the time.
func (g *guard) run(timeout time.Duration) error {
	timer, decides := time.NewTimer(setupTimeout), false
	for {
		select {
		case _, more := <-g.words:
			if !more {
				return g.finish()
			}
			timer.Reset(timeout)
			decides = true
		case <-timer.C:
			if decides && g.dir.rename(g.state.Bridge+wait, g.state.Bridge+undo) == nil {
				err := g.dir.restore(g.kernel, g.state)
				if err == nil {
					_, _ = g.out.Write([]byte{wentBack})
				}
				return err
			}
			return g.takeOver(decides)
		}
	}
}

// takeOver kills the other process, which should have ended, and does its work. If the bridge is decided on, the other
// process ends by itself.
func (g *guard) takeOver(decides bool) error {
	if decides {
		select {
		case <-g.words:
			return g.finish()
		case <-time.After(undoTimeout):
		}
	}
	if err := unix.PidfdSendSignal(parentID, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("stop the process that creates %s: %w", g.state.Bridge, err)
	}
	for range g.words {
		continue
	}
	return g.finish()
}

// finish restores the uplink unless the bridge is kept or the other process has restored it.
func (g *guard) finish() error {
	if !g.dir.claim(g.state.Bridge) && !g.dir.exists(g.state.Bridge+undo) {
		return nil
	}
	return g.dir.restore(g.kernel, g.state)
}
