package stepper

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Program is what to run, and how.
type Program struct {
	Path  string
	Args  []string // without the program's own name
	Env   []string
	Stdin []byte
	Limit time.Duration // then it is killed; 0: three minutes
}

// Ending is how it ended.
type Ending struct {
	Exit     int            // status; -1 when a signal ended it
	Signal   syscall.Signal // which one; 0 for none
	TimedOut bool           // it was killed at its limit
	Stdout   []byte         // at most what a pipe holds, 64 KiB
	Stderr   []byte
	Calls    []Call // all that were shown
}

// Changing are the calls that changed something, in order.
func (e Ending) Changing() []Call {
	var out []Call
	for _, c := range e.Calls {
		if c.Changing {
			out = append(out, c)
		}
	}
	return out
}

// Run runs a program to its end and asks watch at every step. It must be called on a locked
// thread, in the namespaces that the program shall be in. The program dies with the thread.
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
	t := &tracer{pid: pid, watch: watch, pidfd: -1, threads: map[int]*inCall{}, relatives: map[int]*relative{}, restarts: map[int]*inCall{}, faults: map[int]*answerFault{}}
	defer t.close()
	if err := t.attach(); err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, unix.WALL, nil)
		return Ending{}, fmt.Errorf("trace %s: %w", p.Path, err)
	}
	if p.Limit == 0 {
		p.Limit = 3 * time.Minute // on a machine that chokes, a stepped program takes long
	}
	timer := time.AfterFunc(p.Limit, t.kill)
	err = t.follow()
	t.ending.TimedOut = !timer.Stop()
	if err != nil {
		return Ending{}, fmt.Errorf("trace %s: %w", p.Path, err)
	}
	return t.ending, files.read(&t.ending)
}

// files are the program's three, and our end of the second.
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

// memory is a file without a name, with text in it.
func memory(name string, text []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make file in memory: %w", err)
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
	f.out.Close() // ours; the program's went with it
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
