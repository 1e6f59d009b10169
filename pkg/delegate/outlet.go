package delegate

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sink takes what a plugin prints.
type sink interface {
	io.Writer
	kept() []byte
}

// outlet is a pipe that a plugin prints to.
type outlet struct {
	ours, theirs *os.File
	to           sink
	done         chan struct{} // closed when nobody listens any more
}

func newOutlet(to sink) (*outlet, error) {
	r, w, err := os.Pipe()
	return &outlet{ours: r, theirs: w, to: to, done: make(chan struct{})}, err
}

func (o *outlet) abandon() error { return errors.Join(o.ours.Close(), o.theirs.Close()) }

// listen takes what comes until the pipe is closed by all who print to it, or close is called.
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

// close ends listening, after the plugin has ended, and returns what the sink has kept. What is still in the pipe is taken
// without waiting: a program that the plugin left behind may keep it open for ever.
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

// drain reads until nothing is there; the descriptor does not block. A pipe holds no more than a mebibyte unless root says
// so: whoever goes on writing while this reads is not waited for.
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

// limited keeps a little more than a plugin may print, and tells when it is that much.
type limited struct {
	text []byte
	full chan struct{}
}

func (l *limited) Write(p []byte) (int, error) {
	if room := maxStdout + 1 - len(l.text); room > 0 {
		l.text = append(l.text, p[:min(room, len(p))]...)
		if len(l.text) > maxStdout {
			close(l.full)
		}
	}
	return len(p), nil
}

func (l *limited) kept() []byte { return l.text }

// tail keeps the end, and passes everything on.
type tail struct {
	also io.Writer
	end  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	_, _ = t.also.Write(p) // who does not read our stderr does not miss it
	t.end = append(t.end, p...)
	if over := len(t.end) - keptStderr; over > 0 {
		t.end = append([]byte(nil), t.end[over:]...)
	}
	return len(p), nil
}

func (t *tail) kept() []byte { return t.end }
