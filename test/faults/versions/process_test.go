package versions

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// process is a call that runs while another one is stopped. It is a child of a thread that does nothing else: a stepper waits for every
// child of its thread, and would take the exit status of this one if the Go runtime gave it the thread that started it.
type process struct {
	s              *scene
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

// start starts a call. Its standard output goes to out, or is kept if out is nil.
func (s *scene) start(call nettest.Call, out *os.File) *process {
	s.t.Helper()
	tid := 0
	s.Do(func() { tid = unix.Gettid() })
	ns := fmt.Sprintf("/proc/%d/task/%d/ns/", os.Getpid(), tid)
	i := &process{s: s, cmd: exec.Command("nsenter", "--net="+ns+"net", "--mount="+ns+"mnt", call.Plugin)}
	i.cmd.Env = []string{
		"CNI_COMMAND=" + call.Command, "CNI_CONTAINERID=" + call.ContainerID, "CNI_NETNS=" + call.Netns, "CNI_IFNAME=" + call.IfName, "CNI_PATH=/nowhere",
	}
	i.cmd.Stdin, i.cmd.Stderr = bytes.NewReader(call.Config), &i.stderr
	i.cmd.Stdout = io.Writer(&i.stdout)
	if out != nil {
		i.cmd.Stdout = out
	}
	started, ended := make(chan error), make(chan struct{})
	s.t.Cleanup(func() { close(ended) })
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		started <- i.cmd.Start()
		<-ended
	}()
	if err := <-started; err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = i.cmd.Process.Kill() })
	return i
}

func (i *process) wait() nettest.Answer {
	i.s.t.Helper()
	_ = i.cmd.Wait()
	if i.cmd.ProcessState == nil {
		i.s.t.Fatal("the process was not waited for")
	}
	return nettest.Answer{Exit: i.cmd.ProcessState.ExitCode(), Stdout: i.stdout.Bytes(), Stderr: i.stderr.Bytes()}
}

// until polls a condition: the kernel does not notify when a process begins to wait for a lock or in write(2).
func (i *process) until(what string, so func() bool) {
	i.s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			i.s.t.Fatalf("timed out waiting for %s", what)
		}
	}
}

// endsOrWaits returns when the call has ended or waits for a lock.
func (i *process) endsOrWaits() {
	i.s.t.Helper()
	i.until("its end or a lock", func() bool { return i.isOver() || i.waits() })
}

// isOver does not reap the process.
func (i *process) isOver() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, i.cmd.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err != nil {
		i.s.t.Fatalf("wait for process %d: %v", i.cmd.Process.Pid, err)
	}
	return info.Signo != 0
}

func (i *process) waits() bool {
	table, err := os.ReadFile("/proc/locks")
	if err != nil {
		i.s.t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, "-> FLOCK") && strings.Contains(line, fmt.Sprintf(" %d ", i.cmd.Process.Pid)) {
			return true
		}
	}
	return false
}

// prints reports whether a thread of the process is in write(2) on standard output.
func (i *process) prints() bool {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", i.cmd.Process.Pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/syscall", i.cmd.Process.Pid, task.Name()))
		if strings.HasPrefix(string(text), fmt.Sprintf("%d 0x1 ", unix.SYS_WRITE)) {
			return true
		}
	}
	return false
}

// addUnread starts an ADD of the old version that blocks while it prints its result: the pipe is full. hangUp makes it fail with EPIPE.
func (s *scene) addUnread(c *nettest.Container) (adding *process, hangUp func()) {
	s.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.fill(w)
	adding = s.start(s.call(s.old, "ADD", c), w)
	w.Close()
	adding.until("the write of the result", adding.prints)
	return adding, func() { r.Close() }
}

// fill writes into a pipe until no more fits.
func (s *scene) fill(w *os.File) {
	s.t.Helper()
	fd := int(w.Fd())
	err := unix.SetNonblock(fd, true)
	for err == nil {
		_, err = unix.Write(fd, make([]byte, 1))
	}
	if err != unix.EAGAIN {
		s.t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		s.t.Fatal(err)
	}
}
