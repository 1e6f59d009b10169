package boot

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"time"
)

// mostLate is how much later a line of a session may arrive than the slowest line before the change: an emulated CPU is slow by itself. The
// documentation promises it.
const mostLate = 2 * time.Second

// ssh returns the arguments of an ssh client that runs a command on the machine.
func (s *site) ssh(command string) []string {
	return []string{
		"-i", s.key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60",
		"-o", "BatchMode=yes", "root@" + host4, command,
	}
}

// remote is the end of a command that ran by ssh.
type remote struct {
	exit           int
	stdout, stderr string
}

// over runs a command on the machine, in an ssh session of its own from the outside.
func (s *site) over(t testing.TB, command string) remote {
	t.Helper()
	cmd := s.router.Command("ssh", s.ssh(command)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return remote{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// awaitSSH waits until the machine answers by ssh.
func (s *site) awaitSSH(t testing.TB) {
	t.Helper()
	s.until(t, "ssh answers", func() bool { return s.over(t, "true").exit == 0 })
}

// until waits until something is so, three minutes at most.
func (s *site) until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within three minutes: %s\n%s", what, s.Shell(t, "ip address; ip route; systemctl --failed; journalctl -b -n 30 --no-pager"))
		}
	}
}

// session is an ssh session in which the machine writes a line every 100 ms, with the time at which it wrote it.
type session struct {
	in    io.WriteCloser
	ended chan error

	mu    sync.Mutex
	lines int
	least time.Duration // between the clocks of both machines, and the way of the fastest line
	most  time.Duration
	calm  time.Duration // most - least without a change
}

// each line is the time since the boot in seconds. The loop ends when its input does.
const eachLine = `while read -r now rest </proc/uptime; echo $now; do read -r -t 0.1 end; [ $? -gt 128 ] || break; done`

// open starts a session, which has begun when it returns.
func (s *site) open(t testing.TB) *session {
	t.Helper()
	cmd := s.router.Command("ssh", s.ssh("exec bash -c '"+eachLine+"'")...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	out, failed := cmd.StdoutPipe()
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &session{in: in, ended: make(chan error, 1)}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	go func() {
		x.read(out)
		x.ended <- cmd.Wait()
	}()
	s.until(t, "a session begins", func() bool { return x.count() > 0 })
	return x
}

// read measures each line.
func (x *session) read(out io.Reader) {
	began := time.Now()
	for in := bufio.NewScanner(out); in.Scan(); {
		written, err := time.ParseDuration(in.Text() + "s")
		if err != nil {
			return
		}
		x.add(time.Since(began) - written)
	}
}

func (x *session) add(late time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.lines == 0 {
		x.least, x.most = late, late
	}
	x.lines++
	x.least, x.most = min(x.least, late), max(x.most, late)
}

func (x *session) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lines
}

// begin ends the time without a change, by which the next lines are measured.
func (x *session) begin() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.calm, x.most = x.most-x.least, x.least
}

// goesOn requires that lines still arrive, and that none was late.
func (x *session) goesOn(t testing.TB, s *site, what string) {
	t.Helper()
	before := x.count()
	s.until(t, "the session goes on "+what, func() bool { return x.count() > before })
	x.mu.Lock()
	defer x.mu.Unlock()
	late := x.most - x.least
	if late > x.calm+mostLate {
		t.Errorf("%s: a line of the session arrived %v after it was written", what, late)
	}
	t.Logf("%s: %d lines, the slowest arrived %v after it was written, and before the change %v", what, x.lines, late, x.calm)
}

// end closes the session.
func (x *session) end(t testing.TB) {
	t.Helper()
	_ = x.in.Close()
	if err := <-x.ended; err != nil {
		t.Error(fmt.Errorf("the session: %w", err))
	}
}
