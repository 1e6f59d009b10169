package commands

import (
	"bytes"
	"encoding/json"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/pty"
)

// waitingUp is an up of the namespace "job" that waits for its IPAM plugin.
type waitingUp struct {
	*laptop
	cmd    *nettest.Cmd
	stderr bytes.Buffer
	bin    string // CNI_PATH, with the plugin and its two pipes
}

// newWaitingUp returns an up whose IPAM plugin reports on the pipe "called" and then waits for its
// result on the pipe "result". The command line has the words of wrap in front.
func newWaitingUp(t *testing.T, wrap ...string) *waitingUp {
	t.Helper()
	u := &waitingUp{laptop: newLaptop(t), bin: t.TempDir()}
	for _, name := range []string{"called", "result"} {
		if err := syscall.Mkfifo(filepath.Join(u.bin, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := nettest.Script(t, `[ "$CNI_COMMAND" != ADD ] || { echo >`+u.bin+`/called; exec cat `+u.bin+`/result; }`)
	if err := os.Symlink(script, filepath.Join(u.bin, "waiting")); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": "slow", "plugins": []any{
		map[string]any{"type": "patchbay", "bridge": "slow0", "ipam": map[string]any{"type": "waiting"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(u.conf, "slow.conflist"), string(text))
	words := append(wrap, nettest.Patchbay(t), "up", "job", "--network", "slow")
	u.cmd = u.Command(words[0], words[1:]...)
	u.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + u.conf, "CNI_PATH=" + u.bin}
	u.cmd.Stderr = &u.stderr
	return u
}

// start starts the command, and returns when it has called the IPAM plugin.
func (u *waitingUp) start(t *testing.T) {
	t.Helper()
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(filepath.Join(u.bin, "called")); err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "namespaces before the signal", u.pins(t), []string{"job"})
}

// undone requires that the command fails and leaves nothing.
func (u *waitingUp) undone(t *testing.T) {
	t.Helper()
	_ = u.cmd.Wait() // the exit status is compared
	expect.Equal(t, "exit status", exitOf(u.cmd), 1)
	expect.Equal(t, "namespaces", u.pins(t), []string{})
	expect.Equal(t, "attachments", len(u.list(t)), 0)
	u.NoLeaks(t)
}

// TestSignalUndoesUp: an interrupted up deletes the namespace and what the ADD has created.
//
// Claim: An interrupted `up` is undone; a signal that is ignored stays ignored
func TestSignalUndoesUp(t *testing.T) {
	t.Parallel()
	// A shell starts its background jobs with SIGINT ignored, which a child inherits; the disposition of a
	// caught signal becomes the default one in execve(2).
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sent.String(), func(t *testing.T) {
			t.Parallel()
			u := newWaitingUp(t)
			u.start(t)
			if err := u.cmd.Process.Signal(sent); err != nil {
				t.Fatal(err)
			}
			u.undone(t)
			expect.Contains(t, u.stderr.String(), "patchbay: ", "interrupted by a signal", "IPAM plugin waiting")
		})
	}
}

// TestControlCUndoesUp: the terminal sends SIGINT to up and to its IPAM plugin.
//
// Claim: An interrupted `up` is undone; a signal that is ignored stays ignored
func TestControlCUndoesUp(t *testing.T) {
	t.Parallel()
	u := newWaitingUp(t)
	ours, theirs := pty.Open(t, 80, 24)
	u.cmd.Stdin = theirs
	u.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	u.start(t)
	if _, err := ours.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	u.undone(t)
}

// TestIgnoredSignalDoesNotEndUp: nohup(1) starts programs with SIGHUP ignored.
//
// Claim: An interrupted `up` is undone; a signal that is ignored stays ignored
func TestIgnoredSignalDoesNotEndUp(t *testing.T) {
	t.Parallel()
	u := newWaitingUp(t, "sh", "-c", `trap "" HUP; exec "$@"`, "sh")
	u.start(t)
	if err := u.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	const result = `{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}]}`
	if err := os.WriteFile(filepath.Join(u.bin, "result"), []byte(result), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := u.cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, strings.TrimSpace(u.stderr.String()))
	}
	expect.Equal(t, "states", u.states(t), map[string]string{"job": "up"})
	u.cmd = u.command(t, "down", "job")
	u.cmd.Env = append(u.cmd.Env, "CNI_PATH="+u.bin)
	expect.Equal(t, "exit status of down", finish(t, u.cmd).exit, 0)
}
