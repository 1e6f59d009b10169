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
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Watcher is a subscription. Its methods are for one goroutine.
type Watcher struct {
	stateDir, netnsDir string
	links              *link.Changes
	files              int // inotify(7)
	stop               int // eventfd(2) that ends the goroutine
	changes            chan struct{}
	err                error // set before changes is closed
}

// Start begins to watch the records of a state directory, and of those that are noted in it, the directory of named network namespaces,
// and the links of the process's namespace. Call Follow before what is watched is read for the first time, and Close when done.
func Start(stateDir, netnsDir string) (*Watcher, error) {
	w := &Watcher{stateDir: stateDir, netnsDir: netnsDir, changes: make(chan struct{}, 1)}
	var err error
	if w.links, err = link.OpenChanges(); err != nil {
		return nil, fmt.Errorf("watch interfaces: %w", err)
	}
	if w.files, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		w.links.Close()
		return nil, fmt.Errorf("watch files: %w", err)
	}
	if w.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		w.links.Close()
		unix.Close(w.files)
		return nil, fmt.Errorf("watch: %w", err)
	}
	go w.run()
	return w, nil
}

// Changes returns the channel of changes: a value stands for any number of them since the last value was received. It is closed if no more
// can be noticed.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Err returns why Changes is closed, nil if it is not.
func (w *Watcher) Err() error {
	select {
	case _, open := <-w.changes:
		if !open {
			return w.err
		}
	default:
	}
	return nil
}

// Close ends the watching. Its goroutine closes the descriptors.
func (w *Watcher) Close() {
	_, _ = unix.Write(w.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
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

// run waits for events until Close, or until an error.
func (w *Watcher) run() {
	defer func() {
		w.links.Close()
		unix.Close(w.files)
		unix.Close(w.stop)
	}()
	for {
		fds := []unix.PollFd{{Fd: int32(w.links.FD()), Events: unix.POLLIN}, {Fd: int32(w.files), Events: unix.POLLIN}, {Fd: int32(w.stop), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			w.fail(fmt.Errorf("wait for changes: %w", err))
			return
		}
		if fds[2].Revents != 0 {
			return
		}
		if err := w.drain(fds[0].Revents != 0, fds[1].Revents != 0); err != nil {
			w.fail(err)
			return
		}
		if fds[0].Revents|fds[1].Revents != 0 {
			w.changed()
		}
	}
}

// drain drops events: a notification of netlink, or what inotify has.
func (w *Watcher) drain(links, files bool) error {
	if links {
		if err := w.links.Wait(time.Millisecond); err != nil {
			return fmt.Errorf("watch interfaces: %w", err)
		}
	}
	if files {
		buffer := make([]byte, 64<<10)
		if _, err := unix.Read(w.files, buffer); err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watch files: %w", err)
		}
	}
	return nil
}

// changed passes a change on, unless one is waiting to be received.
func (w *Watcher) changed() {
	select {
	case w.changes <- struct{}{}:
	default:
	}
}

func (w *Watcher) fail(err error) {
	w.err = err
	close(w.changes)
}
