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

// Program is a program to run in a network namespace. No CNI verb uses it. It does not use os/exec, because the
// thread that is in the namespace has to start the program.
type Program struct {
	Path string   // absolute, or relative to the working directory
	Args []string // with the name of the program first
	Env  []string
	Name string // of the namespace: files of /etc/netns/NAME replace those of /etc
}

// Exit statuses of a shell (sh(1p), 2.8.2).
const (
	ExitNotFound      = 127
	ExitNotExecutable = 126
	ExitSignal        = 128 // plus the number of the signal
)

// FindProgram looks up a program in PATH as a shell does. With an error it returns the exit status for it.
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
			denied = fmt.Errorf("%s is not executable", path)
		}
	}
	if denied != nil {
		return "", ExitNotExecutable, denied
	}
	return "", ExitNotFound, fmt.Errorf("program %s not found", name)
}

// Signals returns the signals to forward to a program. An ignored one, as nohup(1) leaves SIGHUP, stays ignored.
func Signals() []os.Signal {
	all := []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCONT}
	return slices.DeleteFunc(all, signal.Ignored)
}

// Run runs the program in the network namespace at a path as `ip netns exec` does, with the standard streams of this
// process, and returns its exit status, ExitSignal plus the number if a signal ended it. It forwards signals, and
// the kernel kills the program when this process ends.
func (p *Program) Run(netns string, signals <-chan os.Signal) (status int, err error) {
	started, ended := make(chan *os.Process), make(chan struct{})
	failed := make(chan error, 1)
	// Pdeathsig is sent when the thread that started the child ends, so the goroutine keeps its thread until the
	// child has ended. It never unlocks it: a thread in another namespace must not run other goroutines.
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
			// The terminal sends these two to the whole foreground process group, the program included.
			if !fromTerminal || s != syscall.SIGINT && s != syscall.SIGQUIT {
				_ = process.Signal(s)
			}
		case e := <-over:
			if e.err != nil {
				return 1, fmt.Errorf("wait for program: %w", e.err)
			}
			if status, ok := e.state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				return ExitSignal + int(status.Signal()), nil
			}
			return e.state.ExitCode(), nil
		}
	}
}

// isForeground reports whether this process is in the foreground process group of its terminal.
func isForeground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// start moves the calling thread into the namespace, and starts the program from there.
func (p *Program) start(netns string) (*os.Process, error) {
	fd, err := unix.Open(netns, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
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
	// main ignores SIGPIPE, and exec(2) keeps an ignored signal ignored; a caught one it resets to the default.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return os.StartProcess(p.Path, p.Args, &os.ProcAttr{
		Env: p.Env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
}

// mounts gives the thread its own mount namespace: sysfs shows the interfaces of the network namespace that mounted
// it, and files of /etc/netns/NAME replace those of /etc (ip-netns(8)).
func (p *Program) mounts() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("create mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// In a container sysfs may not be mountable: then /sys shows the interfaces of the host.
	_ = unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	dir := filepath.Join("/etc/netns", p.Name)
	entries, err := os.ReadDir(dir)
	if p.Name == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		from, to := filepath.Join(dir, e.Name()), filepath.Join("/etc", e.Name())
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s over %s: %w", from, to, err)
		}
	}
	return err
}
