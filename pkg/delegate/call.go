package delegate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxStdout  = 4 << 20 // bytes; the limit of this program's own input
	keptStderr = 2 << 10 // bytes, the last ones
)

// Call runs the plugin for one verb, with CNI_COMMAND changed in this process's
// environment, and config on its standard input. It returns the plugin's output, for
// ADD a JSON object. Every error is an *Error.
func (p *Plugin) Call(ctx context.Context, verb string, config []byte) ([]byte, error) {
	return p.CallFor(ctx, []string{"CNI_COMMAND=" + verb}, config)
}

// CallFor runs the plugin as Call does, with several changed variables, for example
// for the DEL of an attachment in a GC. The first one must be CNI_COMMAND.
func (p *Plugin) CallFor(ctx context.Context, changed []string, config []byte) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, p.fail(ErrInterrupted)
	}
	if p.Deadline <= 0 {
		return nil, p.fail(ErrNoTime)
	}
	// Pdeathsig is sent when the thread that started the child ends, so this goroutine
	// keeps its thread (golang.org/issue/27505).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := p.start(environ(changed), config)
	if err != nil {
		return nil, p.unstarted(err)
	}
	a := c.wait(ctx, p.Deadline)
	if err := p.check(a); err != nil {
		return nil, err
	}
	if changed[0] == "CNI_COMMAND=ADD" {
		err = p.object(a)
	}
	return a.stdout, err
}

// object checks that the output of an ADD is a JSON object.
func (p *Plugin) object(a answer) error {
	var fields map[string]json.RawMessage
	if len(strings.TrimSpace(string(a.stdout))) == 0 {
		return p.failed(a, ErrSilent)
	}
	if err := json.Unmarshal(a.stdout, &fields); err != nil || fields == nil {
		return p.failed(a, ErrGarbage, "("+oneLine(a.stdout)+")")
	}
	return nil
}

// environ returns this process's environment with some variables changed.
func environ(changed []string) []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !sets(changed, name) {
			env = append(env, v)
		}
	}
	return append(env, changed...)
}

// sets reports whether a variable is among those that are changed.
func sets(env []string, name string) bool {
	for _, v := range env {
		if strings.HasPrefix(v, name+"=") {
			return true
		}
	}
	return false
}

// child is a running plugin.
type child struct {
	process        *os.Process
	stdout, stderr *outlet
	full           chan struct{} // closed when it prints more than maxStdout
}

// start starts the plugin.
func (p *Plugin) start(env []string, config []byte) (*child, error) {
	stdin, err := memory(config)
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	c := &child{full: make(chan struct{})}
	out, err := newOutlet(&limited{full: c.full})
	if err != nil {
		return nil, err
	}
	errs, err := newOutlet(&tail{also: p.Stderr})
	if err != nil {
		return nil, errors.Join(err, out.abandon())
	}
	c.stdout, c.stderr = out, errs
	c.process, err = os.StartProcess(p.Path, []string{p.Path}, &os.ProcAttr{
		Env: env, Files: []*os.File{stdin, out.theirs, errs.theirs},
		Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return nil, errors.Join(err, out.abandon(), errs.abandon())
	}
	out.listen()
	errs.listen()
	return c, nil
}

// memory returns an anonymous file with some content (memfd_create(2), Linux 3.17). With
// a pipe, a goroutine would have to write while the plugin runs.
func memory(content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("config", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "config")
	if _, err := f.Write(content); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}

// wait waits until the plugin ends, and kills it when its time is over, ctx ends, or it
// prints too much.
func (c *child) wait(ctx context.Context, patience time.Duration) (a answer) {
	ended := make(chan struct{})
	go func() {
		a.state, _ = c.process.Wait()
		close(ended)
	}()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	select {
	case <-ended:
	case <-deadline.C:
		a.stopped = ErrTimeout
	case <-ctx.Done():
		a.stopped = ErrInterrupted
	case <-c.full:
		a.stopped = ErrGarbage
	}
	_ = c.process.Kill() // never another process: it has not been waited for
	<-ended
	a.stdout, a.stderr = c.stdout.close(), c.stderr.close()
	if len(a.stdout) > maxStdout {
		a.stopped = ErrGarbage
	}
	return a
}
