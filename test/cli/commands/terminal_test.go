package commands

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/pty"
)

// onTerminal returns the output of a command on a terminal.
func (l *laptop) onTerminal(t *testing.T, columns uint16, args ...string) string {
	t.Helper()
	ours, theirs := pty.Open(t, columns, 24)
	cmd := l.command(t, args...)
	cmd.Stdout = theirs
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
	text := make([]byte, 4096) // less than the buffer of a terminal
	n, err := ours.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[:n])
}

// TestInterruptAtATerminal: the terminal sends SIGINT to the program itself, so patchbay does not send it a second
// time; patchbay keeps running, and deletes everything when the program has ended.
//
// Claim: `up NAME -- CMD` passes input, output, signals and exit status on, and removes everything however CMD ends
func TestInterruptAtATerminal(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	ours, theirs := pty.Open(t, 80, 24)
	const script = `trap 'echo got' INT; echo ready; while [ ! -e /run/go ]; do sleep 0.02; done; exit 41`
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := l.Command("strace", "-f", "-qq", "-o", trace, "-e", "trace=pidfd_send_signal,kill", nettest.Patchbay(t), "up", "job", "--", "sh", "-c", script)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + l.conf}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(ours)
	await := func(want string) {
		for lines.Scan() && !strings.HasSuffix(lines.Text(), want) { // the terminal echoes ^C first
			continue
		}
		if !strings.HasSuffix(lines.Text(), want) {
			t.Fatalf("the program does not say %q", want)
		}
	}
	await("ready")
	if _, err := ours.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	await("got")
	l.Run(t, "touch", "/run/go")
	_ = cmd.Wait() // the exit code is compared
	expect.Equal(t, "exit", exitOf(cmd), 41)
	sent, err := os.ReadFile(trace)
	// The kernel gives a process that is being forked the signal of its group without the sender: as of process 0 (fork(2), copy_process).
	byProcess := regexp.MustCompile(`si_signo=SIGINT, si_code=SI_USER, si_pid=[1-9]|signal\(\d+, SIGINT`)
	if err != nil || !strings.Contains(string(sent), "si_signo=SIGINT, si_code=SI_KERNEL") || byProcess.Match(sent) {
		t.Errorf("signals that came and were sent (%v):\n%s", err, sent)
	}
	expect.Equal(t, "namespaces", l.pins(t), []string{})
}
