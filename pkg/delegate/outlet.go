package delegate

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sink stores what a plugin prints.
type sink interface {
	io.Writer
	kept() []byte
}

// outlet is a pipe for stdout or stderr of a plugin.
type outlet struct {
	ours, theirs *os.File
	to           sink
	done         chan struct{} // closed when listen has ended
}

// newOutlet returns a pipe whose content goes to a sink.
func newOutlet(to sink) (*outlet, error) {
	r, w, err := os.Pipe()
	return &outlet{ours: r, theirs: w, to: to, done: make(chan struct{})}, err
}

// abandon closes both ends of a pipe that is not used.
func (o *outlet) abandon() error { return errors.Join(o.ours.Close(), o.theirs.Close()) }

// listen copies to the sink until all writers have closed the pipe, or close is called.
func (o *outlet) listen() {
	o.theirs.Close()
	go func() {
		defer close(o.done)
		buffer := make([]byte, 32<<10)
		for n, err := 0, error(nil); err == nil; {
			n, err = o.ours.Read(buffer)
			_, _ = o.to.Write(buffer[:n]) // a sink never fails
		}
	}()
}

// close ends listen after the plugin has ended, and returns what the sink has kept. It
// reads what is in the pipe without waiting for its end: a background process that the
// plugin has started may keep it open.
func (o *outlet) close() []byte {
	defer o.ours.Close()
	_ = o.ours.SetReadDeadline(time.Now())
	<-o.done
	_ = o.ours.SetReadDeadline(time.Time{})
	if raw, err := o.ours.SyscallConn(); err == nil {
		_ = raw.Read(func(fd uintptr) bool { o.drain(int(fd)); return true })
	}
	return o.to.kept()
}

// drain reads until the pipe is empty (EAGAIN). It stops after the largest size that a
// pipe has by default (/proc/sys/fs/pipe-max-size, 1 MiB), so a process that continues
// to write cannot keep it busy.
func (o *outlet) drain(fd int) {
	buffer := make([]byte, 64<<10)
	for range 64 {
		n, err := unix.Read(fd, buffer)
		if n <= 0 || err != nil {
			return
		}
		_, _ = o.to.Write(buffer[:n])
	}
}

// limited keeps a little more than maxStdout bytes, and signals when it has that many.
type limited struct {
	text []byte
	full chan struct{}
}

// Write implements io.Writer; it always succeeds.
func (l *limited) Write(p []byte) (int, error) {
	if free := maxStdout + 1 - len(l.text); free > 0 {
		l.text = append(l.text, p[:min(free, len(p))]...)
		if len(l.text) > maxStdout {
			close(l.full)
		}
	}
	return len(p), nil
}

// kept returns what was written, at most a little more than the limit.
func (l *limited) kept() []byte { return l.text }

// tail keeps the last keptStderr bytes, and writes all bytes to another writer.
type tail struct {
	also io.Writer
	end  []byte
}

// Write implements io.Writer; it always succeeds.
func (t *tail) Write(p []byte) (int, error) {
	_, _ = t.also.Write(p) // an error of this process's stderr is ignored
	t.end = append(t.end, p...)
	if over := len(t.end) - keptStderr; over > 0 {
		t.end = append([]byte(nil), t.end[over:]...)
	}
	return len(p), nil
}

// kept returns the last bytes.
func (t *tail) kept() []byte { return t.end }
