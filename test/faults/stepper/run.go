package stepper

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Program is a program to run.
type Program struct {
	Path  string
	Args  []string // without argv[0]
	Env   []string
	Stdin []byte
	Limit time.Duration // after which it is killed; 0 means three minutes

	ChildRequests bool // also report netlink messages of child processes
	Details       bool // report fsync, and Call.Detail, of the main program
}

// Ending describes how the program ended.
type Ending struct {
	Exit     int            // exit status; -1 if a signal ended it
	Signal   syscall.Signal // that ended it; 0 for none
	TimedOut bool           // it was killed at Limit
	Stdout   []byte         // at most what a pipe holds, 64 KiB
	Stderr   []byte
	Calls    []Call // all reported calls
}

// Changing returns the calls that may have changed something, in order.
func (e Ending) Changing() []Call {
	var out []Call
	for _, c := range e.Calls {
		if c.Changing {
			out = append(out, c)
		}
	}
	return out
}

// Run runs a program to its end and calls watch at every step. The caller must have locked its thread and entered the namespaces for the
// program. The program is killed if the thread ends.
func Run(p Program, watch func(Step) Act) (Ending, error) {
	files, err := openFiles(p.Stdin)
	if err != nil {
		return Ending{}, err
	}
	defer files.close()
	defer pin()()
	pid, err := syscall.ForkExec(p.Path, append([]string{p.Path}, p.Args...), &syscall.ProcAttr{
		Env: p.Env, Files: []uintptr{files.stdin.Fd(), files.out.Fd(), files.stderr.Fd()},
		Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return Ending{}, fmt.Errorf("start %s: %w", p.Path, err)
	}
	t := &tracer{pid: pid, requests: p.ChildRequests, details: p.Details, watch: watch, pidfd: -1, threads: map[int]*inCall{}, children: map[int]*child{}, restarts: map[int]*inCall{}, faults: map[int]*replyFault{}}
	defer t.close()
	if err := t.attach(); err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, unix.WALL, nil)
		return Ending{}, fmt.Errorf("trace %s: %w", p.Path, err)
	}
	if p.Limit == 0 {
		p.Limit = 3 * time.Minute // a stepped program is slow on a loaded machine
	}
	timer := time.AfterFunc(p.Limit, t.kill)
	err = t.follow()
	t.ending.TimedOut = !timer.Stop()
	if err != nil {
		return Ending{}, fmt.Errorf("trace %s: %w", p.Path, err)
	}
	return t.ending, files.read(&t.ending)
}

// files are the standard files of the program; stdout is the read end of the pipe out.
type files struct {
	stdin, stderr, stdout, out *os.File
}

func openFiles(stdin []byte) (*files, error) {
	f := &files{}
	var err error
	if f.stdin, err = memory("stdin", stdin); err != nil {
		return nil, err
	}
	if f.stderr, err = memory("stderr", nil); err == nil {
		f.stdout, f.out, err = os.Pipe()
	}
	if err != nil {
		f.close()
		return nil, fmt.Errorf("open the program's files: %w", err)
	}
	return f, nil
}

// memory creates a memfd with text in it.
func memory(name string, text []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(text)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("write file in memory: %w", err)
	}
	return f, nil
}

func (f *files) read(e *Ending) (err error) {
	f.out.Close() // the last write end: the program has ended
	if e.Stdout, err = io.ReadAll(f.stdout); err != nil {
		return fmt.Errorf("read standard output: %w", err)
	}
	if _, err = f.stderr.Seek(0, io.SeekStart); err == nil {
		e.Stderr, err = io.ReadAll(f.stderr)
	}
	if err != nil {
		return fmt.Errorf("read standard error: %w", err)
	}
	return nil
}

func (f *files) close() {
	for _, one := range []*os.File{f.stdin, f.stderr, f.stdout, f.out} {
		if one != nil {
			one.Close()
		}
	}
}
