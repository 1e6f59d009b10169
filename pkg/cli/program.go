package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Program is a program that a person wants to run in a namespace. This is the one place where a
// command for people starts one; no verb of CNI gets here. os/exec is not used: the program has to be
// started by the thread that is in the namespace.
type Program struct {
	Path string   // absolute, or from here
	Args []string // the name first
	Env  []string
	Name string // of the namespace: files of /etc/netns/NAME stand for those of /etc
}

// Exit statuses of a program that did not run, as a shell has them (sh(1p), 2.8.2).
const (
	ExitNotFound      = 127
	ExitNotExecutable = 126
	ExitSignal        = 128 // and the signal's number
)

// FindProgram looks a program up as a shell does. An error comes with the exit status for it.
func FindProgram(name string) (path string, status int, err error) {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	if strings.Contains(name, "/") {
		dirs = []string{""}
	}
	var denied error
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		switch {
		case err != nil:
		case info.Mode().IsRegular() && info.Mode()&0o111 != 0:
			return path, 0, nil
		default:
			denied = fmt.Errorf("%s is no program that can be run", path)
		}
	}
	if denied != nil {
		return "", ExitNotExecutable, denied
	}
	return "", ExitNotFound, fmt.Errorf("there is no program %s", name)
}

// Signals are those that are passed on to a program. One that is ignored, as nohup(1) leaves SIGHUP,
// stays so.
func Signals() []os.Signal {
	all := []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCONT}
	return slices.DeleteFunc(all, signal.Ignored)
}

// Run runs a program in the namespace at a path, with our input and outputs, as `ip netns exec` does,
// and returns its exit status, ExitSignal and more if a signal ended it. Signals that come are passed
// on to it. It dies with us.
func (p *Program) Run(netns string, signals <-chan os.Signal) (status int, err error) {
	started, ended := make(chan *os.Process), make(chan struct{})
	failed := make(chan error, 1)
	// The child dies when the thread that started it does, so the thread must not, nor ever serve
	// anybody else: it ends with this function.
	go func() {
		runtime.LockOSThread()
		process, err := p.start(netns)
		if err != nil {
			failed <- err
			return
		}
		started <- process
		<-ended
	}()
	defer close(ended)
	select {
	case err := <-failed:
		return ExitNotExecutable, fmt.Errorf("run %s: %w", p.Args[0], err)
	case process := <-started:
		return wait(process, signals)
	}
}

func wait(process *os.Process, signals <-chan os.Signal) (int, error) {
	type end struct {
		state *os.ProcessState
		err   error
	}
	over := make(chan end)
	go func() {
		state, err := process.Wait()
		over <- end{state, err}
	}()
	fromTerminal := isForeground()
	for {
		select {
		case s := <-signals:
			// The terminal has sent these two to the program as well.
			if !fromTerminal || s != syscall.SIGINT && s != syscall.SIGQUIT {
				_ = process.Signal(s)
			}
		case e := <-over:
			if e.err != nil {
				return 1, fmt.Errorf("wait for the program: %w", e.err)
			}
			if status, ok := e.state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				return ExitSignal + int(status.Signal()), nil
			}
			return e.state.ExitCode(), nil
		}
	}
}

// isForeground reports whether what is typed at our terminal is a signal for us and our children.
func isForeground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// start puts the calling thread into the namespace, for good, and starts the program from there.
func (p *Program) start(netns string) (*os.Process, error) {
	fd, err := unix.Open(netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", netns, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter network namespace %s: %w", netns, err)
	}
	if err := p.mounts(); err != nil {
		return nil, err
	}
	// We ignore it, and the program would go on doing so. What is caught it gets as it is by default.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return os.StartProcess(p.Path, p.Args, &os.ProcAttr{
		Env: p.Env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
}

// mounts gives the thread mounts of its own: /sys shows the links of the network namespace that
// mounted it, and a namespace may have files of its own for /etc (ip-netns(8)).
func (p *Program) mounts() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make mounts of its own: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts of its own: %w", err)
	}
	// Where sysfs may not be mounted, in a container, /sys stays the host's, or is not there at all.
	_ = unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	dir := filepath.Join("/etc/netns", p.Name)
	entries, err := os.ReadDir(dir)
	if p.Name == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		from, to := filepath.Join(dir, e.Name()), filepath.Join("/etc", e.Name())
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("put %s in the place of %s: %w", from, to, err)
		}
	}
	return err
}
