package hostbridge

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors of the watchdog.
const (
	fromParent = 3 // a pipe; its end says that the other process ended
	toParent   = 4 // a pipe
	lockFile   = 5
	parentID   = 6 // a pidfd of the other process
)

// Words of the two processes, a byte each.
const (
	ready    = 'r' // watchdog: it has read the state
	waiting  = 'w' // parent: addresses are moved; the time for the decision begins
	wentBack = 'b' // watchdog: the time was over, the uplink is restored
)

// watchdog is the other process, as Create sees it.
type watchdog struct {
	process  *os.Process
	pipe     *os.File      // from it
	commands *os.File      // to it
	words    chan byte     // from it
	ended    chan struct{} // closed when it has ended
}

// startWatchdog starts the watchdog for the bridge, and returns when it is ready.
func startWatchdog(bridge string, timeout time.Duration, lock *os.File) (*watchdog, error) {
	read, commands, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	words, write, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, commands.Close())
	}
	defer write.Close()
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open this process: %w", err), commands.Close(), words.Close())
	}
	parent := os.NewFile(uintptr(self), "pidfd")
	defer parent.Close()
	w := &watchdog{commands: commands, words: make(chan byte, 1), ended: make(chan struct{}), pipe: words}
	w.process, err = os.StartProcess("/proc/self/exe", []string{"patchbay", "bridge", "watch", bridge, "--timeout", timeout.String()}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{nil, nil, os.Stderr, read, write, lock, parent}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the watchdog: %w", err), commands.Close(), words.Close())
	}
	go w.listen()
	select {
	case <-w.words:
		return w, nil
	case <-w.ended:
		w.stop()
		return nil, fmt.Errorf("the watchdog of %s did not start; nothing was changed", bridge)
	}
}

// listen passes on the words of the watchdog until it ends.
func (w *watchdog) listen() {
	defer close(w.ended)
	defer w.pipe.Close()
	for word := make([]byte, 1); ; {
		if n, err := w.pipe.Read(word); n == 0 || err != nil {
			return
		}
		w.words <- word[0]
	}
}

// gone reports whether the watchdog has ended. It asks the kernel: the goroutine that listens may not have run yet.
func (w *watchdog) gone() (gone bool) {
	raw, err := w.pipe.SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) {
		state := []unix.PollFd{{Fd: int32(fd)}} // the end of the pipe is always reported
		n, err := unix.Poll(state, 0)
		gone = err == nil && n > 0
	})
	return gone || err != nil // listen has closed it
}

// say sends a word to the watchdog. One that has ended is found by gone.
func (w *watchdog) say(word byte) { _, _ = w.commands.Write([]byte{word}) }

// stop ends the conversation and waits for the end of the watchdog, which restores the uplink first if nobody else did.
func (w *watchdog) stop() {
	w.commands.Close()
	_, _ = w.process.Wait()
}
