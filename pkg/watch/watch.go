// Package watch reports that something has changed that `patchbay show` draws: interfaces, addresses and routes, by netlink; records and
// named network namespaces, by inotify. It does not say what, and changes nothing.
//
//	w, err := watch.Start("/run/patchbay", "/run/netns")
//	for more := true; more; _, more = <-w.Changes() {
//		w.Follow() // also directories that are new
//		draw()
//	}
//	err = w.Err()
//
// Changes of the ruleset are not watched.
package watch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/poll"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Watcher is a subscription. Its methods are for one goroutine.
type Watcher struct {
	stateDir, netnsDir string
	links              *link.Changes
	files              int // inotify(7)
	loop               *poll.Loop
}

// Start begins to watch the records of a state directory, and of those that are noted in it, the directory of named network namespaces,
// and the links of the process's namespace. Call Follow before what is watched is read for the first time, and Close when done.
func Start(stateDir, netnsDir string) (*Watcher, error) {
	w := &Watcher{stateDir: stateDir, netnsDir: netnsDir}
	var err error
	if w.links, err = link.OpenChanges(); err != nil {
		return nil, fmt.Errorf("watch interfaces: %w", err)
	}
	if w.files, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		w.links.Close()
		return nil, fmt.Errorf("watch files: %w", err)
	}
	w.loop, err = poll.Start(poll.Source{FDs: []int{w.links.FD(), w.files}, Read: w.drain, Close: w.closeAll})
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	return w, nil
}

// Changes returns the channel of changes: a value stands for any number of them since the last value was received. It is closed if no more
// can be noticed.
func (w *Watcher) Changes() <-chan struct{} { return w.loop.Happened() }

// Err returns why Changes is closed, nil if it is not.
func (w *Watcher) Err() error { return w.loop.Err() }

// Close ends the watching.
func (w *Watcher) Close() { w.loop.Close() }

func (w *Watcher) closeAll() {
	w.links.Close()
	unix.Close(w.files)
}

// events are those of inotify that a record or a named namespace causes when it is written, renamed or removed.
const events = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_CLOSE_WRITE | unix.IN_ONLYDIR

// Follow watches the directories that exist now. To watch one again changes nothing. A directory that does not exist is noticed when it
// is created in its parent; one that may not be read is left out.
func (w *Watcher) Follow() {
	for _, dir := range append(store.StateDirs(w.stateDir), w.netnsDir) {
		if _, err := unix.InotifyAddWatch(w.files, dir, events); errors.Is(err, unix.ENOENT) {
			_, _ = unix.InotifyAddWatch(w.files, filepath.Dir(dir), unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
		}
		if dir == w.netnsDir {
			continue
		}
		networks, _ := os.ReadDir(dir)
		for _, network := range networks {
			if network.IsDir() {
				_, _ = unix.InotifyAddWatch(w.files, filepath.Join(dir, network.Name()), events|unix.IN_DONT_FOLLOW)
			}
		}
	}
}

// drain drops events: a notification of netlink, or what inotify has.
func (w *Watcher) drain(ready []bool) (changed bool, err error) {
	if ready[0] {
		if err := w.links.Wait(time.Millisecond); err != nil {
			return false, fmt.Errorf("watch interfaces: %w", err)
		}
	}
	if ready[1] {
		buffer := make([]byte, 64<<10)
		if _, err := unix.Read(w.files, buffer); err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return false, fmt.Errorf("watch files: %w", err)
		}
	}
	return true, nil
}
