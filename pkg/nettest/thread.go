package nettest

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// thread is one operating system thread that has entered namespaces of its own
// and runs the functions it is given there, one at a time.
type thread struct {
	jobs  chan job
	quit  chan struct{}
	ended chan struct{}
	tid   int
}

// job is a function, and the channel for its ending.
type job struct {
	run  func()
	done chan ending
}

// ending is how a job ended: it returned, it panicked, or it left its
// goroutine (testing's FailNow does) and took the thread with it.
type ending struct {
	left  bool
	panic any
	stack []byte
}

// startThread starts a thread, runs enter on it and serves it until stop.
// The goroutine stays locked, so the thread ends with it and no other goroutine
// ever meets the namespaces it entered.
func startThread(enter func() error) (*thread, error) {
	t := &thread{jobs: make(chan job), quit: make(chan struct{}), ended: make(chan struct{})}
	ready := make(chan error, 1)
	go t.live(enter, ready)
	if err := <-ready; err != nil {
		return nil, err
	}
	return t, nil
}

// live runs on the thread until stop.
func (t *thread) live(enter func() error, ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The main thread never ends, and /proc/self shows it: keep this goroutine
		// on it, so that the scheduler must choose another thread.
		again := make(chan error, 1)
		go t.live(enter, again)
		ready <- <-again
		runtime.UnlockOSThread()
		return
	}
	defer close(t.ended)
	t.tid = unix.Gettid()
	err := enter()
	ready <- err
	if err != nil {
		return
	}
	defer leaveNamespaces()
	for {
		select {
		case j := <-t.jobs:
			t.serve(j)
		case <-t.quit:
			return
		}
	}
}

// serve runs one job and reports its ending also when it never returns.
func (t *thread) serve(j job) {
	end := ending{left: true}
	defer func() {
		if end.left {
			if v := recover(); v != nil {
				end = ending{panic: v, stack: debug.Stack()}
			}
		}
		j.done <- end
	}()
	j.run()
	end.left = false
}

// do runs fn on the thread; false means that the thread is gone and fn has not run.
func (t *thread) do(fn func()) (ending, bool) {
	if unix.Gettid() == t.tid {
		fn()
		return ending{}, true
	}
	j := job{run: fn, done: make(chan ending, 1)}
	select {
	case t.jobs <- j:
		return <-j.done, true
	case <-t.ended:
		return ending{}, false
	}
}

// stop ends the thread and waits until it has let go of its namespaces.
func (t *thread) stop() {
	close(t.quit)
	<-t.ended
}

// leaveNamespaces returns the calling thread to the namespaces of the process. The
// kernel ends a thread some time after its goroutine; without this call it would keep
// the namespaces until then.
func leaveNamespaces() {
	_ = enterPath("/proc/self/ns/net", unix.CLONE_NEWNET)
	_ = enterPath("/proc/self/ns/mnt", unix.CLONE_NEWNS)
}

// enterPath puts the calling thread into the namespace behind path.
func enterPath(path string, kind int) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", path, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, kind); err != nil {
		return fmt.Errorf("enter namespace %s: %w", path, err)
	}
	return nil
}
