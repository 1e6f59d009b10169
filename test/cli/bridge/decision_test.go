package bridge

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// waiting is a `bridge create` that waits for the decision.
type waiting struct {
	*nettest.Cmd
	out    *bufio.Reader
	stderr bytes.Buffer
	said   string
}

// start starts `bridge create`, and returns when it waits.
func (s *site) start(t testing.TB, more ...string) *waiting {
	t.Helper()
	r := &waiting{Cmd: s.Command(nettest.Patchbay(t), append([]string{"bridge", "create", "br0", "--uplink", "eth0"}, more...)...)}
	r.Env, r.Stderr = []string{"PATH=" + os.Getenv("PATH")}, &r.stderr
	out, err := r.StdoutPipe()
	if err == nil {
		err = r.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	r.out = bufio.NewReader(out)
	for !strings.Contains(r.said, "unless: patchbay bridge confirm") {
		line, err := r.out.ReadString('\n')
		r.said += line
		if err != nil {
			_ = r.Wait()
			t.Fatalf("create ended: %v\n%s%s", err, r.said, r.stderr.String())
		}
	}
	return r
}

// ends waits for the end, and requires an exit code and a text on stderr.
func (r *waiting) ends(t testing.TB, exit int, stderr string) {
	t.Helper()
	rest := new(bytes.Buffer)
	_, _ = rest.ReadFrom(r.out)
	r.said += rest.String()
	_ = r.Wait()
	if got := r.ProcessState.ExitCode(); got != exit {
		t.Errorf("exit %d, want %d\n%s%s", got, exit, r.said, r.stderr.String())
	}
	expect.Contains(t, r.stderr.String(), stderr)
}

// TestConfirm: the bridge stays if it is confirmed in time, and only then.
//
// Claim: Without a confirmation, after an interrupt, without carrier, or if a gateway does not answer, `bridge create` goes back
func TestConfirm(t *testing.T) {
	t.Parallel()
	s := newSite(t, plain())
	s.refused(t, "bridge confirm", "no bridge waits for a confirmation")
	r := s.start(t, "--timeout", "10m") // a virtual machine is slow
	expect.Contains(t, r.said, "br0: moved address 192.0.2.10/24\n", "br0: moved route default via 192.0.2.1\n", "br0: gateway 2001:db8::1 answers\n")
	s.isBridged(t)
	const unfinished = "another patchbay bridge create or delete is not finished: bridge br0 waits for a confirmation; patchbay bridge confirm br0 keeps it"
	s.refused(t, "bridge confirm br1", "no bridge waits for a confirmation")
	s.refused(t, "bridge create br1 --uplink eth0", unfinished)
	s.refused(t, "bridge delete br0", unfinished, " keeps it, Ctrl-C in the command that creates it removes it, and it is removed without either in ")
	s.refused(t, "uninstall --purge --bin-dir "+t.TempDir(), unfinished)
	expect.Equal(t, "confirm", s.ok(t, "bridge", "confirm"), "br0: confirmed\n")
	r.ends(t, 0, "")
	expect.Contains(t, r.said, "br0: kept, eth0 is its port\n")
	s.isBridged(t)
	s.refused(t, "bridge confirm", "no bridge waits for a confirmation")
	s.ok(t, "bridge", "delete", "br0")
	s.unchanged(t)
}

// TestNotConfirmed: what ends the wait without a confirmation restores the host.
//
// Claim: Without a confirmation, after an interrupt, without carrier, or if a gateway does not answer, `bridge create` goes back
func TestNotConfirmed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args   []string
		do     func(t *testing.T, s *site, r *waiting)
		exit   int
		stderr string
	}{
		"time over":       {[]string{"--timeout", "1s"}, nil, 1, "bridge br0 not kept, eth0 is as before: no confirmation within 1s"},
		"SIGTERM":         {nil, send(syscall.SIGTERM), 1, "not kept, eth0 is as before: interrupted"},
		"SIGINT":          {nil, send(syscall.SIGINT), 1, "not kept, eth0 is as before: interrupted"},
		"SIGHUP":          {nil, send(syscall.SIGHUP), 1, "not kept, eth0 is as before: interrupted"},
		"SIGKILL":         {nil, send(syscall.SIGKILL), -1, ""},
		"stopped":         {[]string{"--timeout", "1s"}, send(syscall.SIGSTOP), 1, "no confirmation within 1s"},
		"watchdog killed": {nil, func(t *testing.T, s *site, _ *waiting) { s.killWatchdog(t) }, 1, "not kept, eth0 is as before: the watchdog was killed"},
		"carrier lost":    {nil, func(t *testing.T, s *site, _ *waiting) { s.router.Run(t, "ip", "link", "set", "lan", "down") }, 1, "not kept, eth0 is as before: eth0 has lost its carrier"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, plain())
			r := s.start(t, tt.args...)
			if tt.do != nil {
				tt.do(t, s, r)
			}
			if name == "stopped" { // its watchdog restores, and it finds that when it runs again
				s.until(t, func() bool { return !strings.Contains(s.Run(t, "ip", "-brief", "link"), "br0") })
				send(syscall.SIGCONT)(t, s, r)
			}
			r.ends(t, tt.exit, tt.stderr)
			if name == "SIGKILL" {
				s.until(t, func() bool { return !strings.Contains(s.Run(t, "ip", "-brief", "link"), "br0") })
			}
			if name == "carrier lost" {
				s.router.Run(t, "ip", "link", "set", "lan", "up")
				s.addRouter(t) // the kernel has removed the IPv6 addresses
				s.Settle("eth0")
			}
			s.unchanged(t)
			s.reached(t)
		})
	}
}

func send(signal syscall.Signal) func(*testing.T, *site, *waiting) {
	return func(t *testing.T, _ *site, r *waiting) {
		t.Helper()
		if err := r.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
}

// until waits for a condition, which no single event announces.
func (s *site) until(t testing.TB, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the condition is not met")
		}
	}
}

// killWatchdog kills the watchdog of this host.
func (s *site) killWatchdog(t testing.TB) {
	t.Helper()
	var ours string
	s.Do(func() { ours, _ = os.Readlink("/proc/thread-self/ns/net") })
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		line, _ := os.ReadFile(path)
		if netns, _ := os.Readlink(filepath.Dir(path) + "/ns/net"); netns != ours || !bytes.HasPrefix(line, []byte("patchbay\x00bridge\x00watch\x00")) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/", &pid); err != nil {
			t.Fatal(err)
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("no watchdog")
}

// TestGatewayDoesNotAnswer: a router that answers on eth0 and not on the bridge. Here it goes away when the addresses are moved.
//
// Claim: Without a confirmation, after an interrupt, without carrier, or if a gateway does not answer, `bridge create` goes back
func TestGatewayDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t, plain())
	e := s.step(t, func(step stepper.Step) stepper.Act {
		if !step.After && strings.HasPrefix(step.Text, "RTM_DELADDR 192.0.2.10/24") && step.Kind != stepper.Child {
			s.router.Run(t, "ip", "address", "del", "192.0.2.1/24", "dev", "lan")
		}
		return stepper.Go()
	}, create()...)
	expect.Contains(t, string(e.Stderr), "bridge br0 not kept, eth0 is as before: gateway 192.0.2.1 does not answer through br0: no answer after 10s")
	s.addRouter(t)
	s.decided(t, "no answer", false)
}

// TestRestoreKilled kills each of the two processes while it restores: the other one finishes. One time the time is over, the other time
// the command is interrupted.
//
// Claim: Killed at any changing system call, `bridge create` and `bridge delete`, or their watchdog, leave a host that is reached, and is
// completely before or completely after
func TestRestoreKilled(t *testing.T) {
	for name, mine := range map[string]bool{"command, interrupted": true, "watchdog, time over": false} {
		timeout := "1s"
		if mine { // on a loaded machine the watchdog would be first
			timeout = "10m"
		}
		args := []string{"bridge", "create", "br0", "--uplink", "eth0", "--timeout", timeout}
		t.Run(name, func(t *testing.T) {
			count := 0
			s := newSite(t, rich())
			s.step(t, restoring(mine, func(int, stepper.Step) stepper.Act { count++; return stepper.Go() }), args...)
			s.decided(t, "restored", false)
			if count < 15 {
				t.Fatalf("%d calls", count)
			}
			t.Logf("%d calls", count)
			var mu sync.Mutex
			killed := 0
			each(t, count, func(t *testing.T, s *site, nth int) {
				e := s.step(t, restoring(mine, func(n int, step stepper.Step) stepper.Act {
					if n != nth {
						return stepper.Go()
					}
					mu.Lock()
					killed++
					mu.Unlock()
					if mine {
						return kill()
					}
					other := victim{pid: step.Process}
					other.pidfd, _ = unix.PidfdOpen(step.Process, 0)
					defer other.close()
					other.end(t)
					return stepper.Go()
				}), args...)
				s.decided(t, fmt.Sprintf("killed before call %d: exit %d\n%s", nth, e.Exit, e.Stderr), false)
			})
			expect.Equal(t, "kills", killed, count)
		})
	}
}

// restoring calls do before each changing call of the command or of its watchdog from the rename that begins the restoration; the command
// is interrupted when it waits.
func restoring(mine bool, do func(int, stepper.Step) stepper.Act) watcher {
	n := 0
	return func(step stepper.Step) stepper.Act {
		if mine && step.After && strings.HasSuffix(step.Text, "/br0.wait") && strings.HasPrefix(step.Text, "rename ") {
			return stepper.Signal(syscall.SIGTERM)
		}
		if step.After || !step.Changing || (step.Kind == stepper.Child) == mine {
			return stepper.Go()
		}
		if n > 0 || strings.HasSuffix(step.Text, "/br0.undo") && strings.HasPrefix(strings.TrimPrefix(step.Text, "child: "), "rename ") {
			n++
			return do(n, step)
		}
		return stepper.Go()
	}
}
