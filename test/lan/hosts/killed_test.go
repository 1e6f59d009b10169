package hosts

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/test/faults/stepper"
)

// step runs `patchbay-lan run` under the stepper. It is ended by SIGTERM as soon as its status says that it is ready, unless kill, which is
// called before each changing call with its number, says that it is killed.
func (m *machine) step(t testing.TB, kill func(n int) bool) stepper.Ending {
	t.Helper()
	n, isWritten, isReady := 0, false, false
	watch := func(s stepper.Step) stepper.Act {
		switch {
		case !s.Changing:
			return stepper.Go()
		case !s.After:
			if n++; kill(n) {
				return stepper.Signal(syscall.SIGKILL)
			}
			return stepper.Go()
		case strings.HasSuffix(s.Text, conflist) && strings.HasPrefix(s.Text, "rename"):
			isWritten = true
		case isWritten && !isReady && strings.HasSuffix(s.Text, statusFile) && strings.HasPrefix(s.Text, "rename"):
			isReady = true
			return stepper.Signal(syscall.SIGTERM)
		}
		return stepper.Go()
	}
	var ending stepper.Ending
	var err error
	m.Do(func() {
		ending, err = stepper.Run(stepper.Program{
			Path: patchbayLAN(t), Args: []string{"run", network, "--node", m.name, "--endpoints", endpoints}, Env: []string{"GOMAXPROCS=1"}, Limit: time.Minute,
		}, watch)
	})
	if err != nil || ending.TimedOut {
		t.Fatalf("run under the stepper: %v, timed out: %v\n%s%s", err, ending.TimedOut, ending.Stdout, ending.Stderr)
	}
	return ending
}

// TestKilled kills the program before each changing call: files, packets to etcd, output. Whatever it leaves, a network configuration on disk has
// blocks of the host alone, and the next start is ready with one block, the same in both places.
//
// Claim: Killed at any changing system call, patchbay-lan leaves a network configuration with blocks of the host alone, or none, and the next
// start has one block
func TestKilled(t *testing.T) {
	s := newSite(t, 1)
	m := s.hosts[0]
	s.initialize(t, "--subnet", "192.0.2.0/24", "--pool", "192.0.2.128/26", "--block", "28")
	whole := m.step(t, func(int) bool { return false })
	if whole.Exit != 0 || m.read(conflist) != "" {
		t.Fatalf("without a kill: exit status %d\n%s", whole.Exit, whole.Stderr)
	}
	var texts []string
	for _, c := range whole.Changing() {
		texts = append(texts, c.Text)
	}
	t.Logf("%d changing calls:\n%s", len(texts), strings.Join(texts, "\n"))
	kills := 0
	for nth := 1; ; nth++ {
		if out, err := m.lan(t, "release", network, "--node", m.name); err != nil {
			t.Fatalf("release: %v\n%s", err, out)
		}
		ending := m.step(t, func(n int) bool { return n == nth })
		if ending.Signal != syscall.SIGKILL {
			break
		}
		kills++
		m.compare(t, fmt.Sprintf("killed before call %d", nth), false)
		m.start(t)
		m.awaitStatus(t, "is ready", isReady)
		m.compare(t, fmt.Sprintf("started after a kill before call %d", nth), true)
		_ = m.end(syscall.SIGKILL)
	}
	t.Logf("%d kills", kills)
	if kills < len(texts)/2 {
		t.Errorf("only %d kills at %d calls", kills, len(texts))
	}
}

// compare compares the blocks on disk with those in etcd: each must be there; with all they are the same, and one.
func (m *machine) compare(t testing.TB, when string, all bool) {
	t.Helper()
	onDisk, inEtcd := m.blocks(t), fmt.Sprint(m.listed(t, m.name))
	for _, r := range onDisk {
		first, _, _ := strings.Cut(r, "-")
		if !strings.Contains(inEtcd, strings.TrimSuffix(first, ".0")) {
			t.Errorf("%s: the network configuration has %s, etcd %s", when, r, inEtcd)
		}
	}
	if all && (len(onDisk) != 1 || strings.Contains(inEtcd, " ")) {
		t.Errorf("%s: the network configuration has %v, etcd %s", when, onDisk, inEtcd)
	}
}
