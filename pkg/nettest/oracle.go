package nettest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// oracle is the state of the leak check of a host.
type oracle struct {
	mode    Mode
	off     string        // why the check is off; "" if it is on
	wait    time.Duration // how long a difference may last
	first   *Snapshot
	roots   []string
	allowed []string
	guests  []*os.File // process namespaces whose processes are ignored
}

// settleTime is how long differences may last: the kernel deletes a namespace and its
// veths some time after the last reference is dropped.
const settleTime = 2 * time.Second

// Baseline takes the snapshots of the host and its containers that the leak check
// compares with. Host takes the first; a test that changes the host by hand calls it
// afterwards. Host.Bridge and Host.LAN add what they create.
func (h *Node) Baseline() {
	h.t.Helper()
	first := h.Snapshot()
	for _, c := range h.existing() {
		snapshot, err := c.takeSnapshot()
		if err != nil {
			h.t.Fatalf("snapshot of container %s: %v", c.name, err)
		}
		h.mu.Lock()
		c.first = snapshot
		h.mu.Unlock()
	}
	h.mu.Lock()
	h.oracle.first = first
	h.mu.Unlock()
}

// Oracle sets how strict the comparison at the end of the test is. It is
// Attachment unless a test says CleanHost.
func (h *Node) Oracle(mode Mode) { h.oracle.mode = mode }

// NoOracle switches the leak check off, for benchmarks. It takes the reason.
func (h *Node) NoOracle(reason string) { h.oracle.off = reason }

// Allow permits differences whose line, without its sign, begins with prefix: "address br0 " for a test of forceAddress.
func (h *Node) Allow(prefix string) { h.oracle.allowed = append(h.oracle.allowed, prefix) }

// Disregard excludes a process, and all processes of its PID namespace, from later snapshots, for a
// firewall or another daemon that runs during the whole test. Other changes by it are compared.
func (h *Node) Disregard(pid int) {
	h.t.Helper()
	// While it is open, no other namespace gets its inode number.
	guest, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		h.t.Fatalf("disregard processes: %v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.oracle.guests = append(h.oracle.guests, guest)
}

// adopt adds links that this package has created to the baseline.
func (h *Node) adopt(links ...string) {
	h.t.Helper()
	now := h.Snapshot()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.oracle.first.adopt(now, links)
}

// Leaks compares the host and its existing containers with the baseline once. The leak
// check at the end of a test repeats this until nothing differs or settleTime is over.
func (h *Node) Leaks() []string {
	h.t.Helper()
	leaks, err := h.leaks()
	if err != nil {
		h.t.Fatalf("leak oracle: %v", err)
	}
	return leaks
}

func (h *Node) leaks() ([]string, error) {
	now, err := h.snapshot()
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	first := h.oracle.first
	h.mu.Unlock()
	lines := Diff(first, now, h.oracle.mode)
	for _, c := range h.existing() {
		more, err := c.leaks()
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return slices.DeleteFunc(lines, h.oracle.excuses), nil
}

func (o *oracle) excuses(line string) bool {
	return slices.ContainsFunc(o.allowed, func(prefix string) bool { return strings.HasPrefix(line[2:], prefix) })
}

// leaks compares a container with its baseline, and checks that its pin exists.
func (c *Container) leaks() ([]string, error) {
	now, err := c.takeSnapshot()
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, line := range Diff(c.first, now, CleanHost) {
		lines = append(lines, fmt.Sprintf("%scontainer %s: %s", line[:2], c.name, line[2:]))
	}
	c.host.Do(func() { _, err = os.Lstat(c.path) })
	if err != nil {
		lines = append(lines, fmt.Sprintf("- container %s: pin %s", c.name, c.path))
	}
	return lines, nil
}

// settled compares until nothing differs or the time is over; once only if the test
// has failed already.
func (h *Node) settled() ([]string, error) {
	until := time.Now().Add(h.oracle.wait)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		leaks, err := h.leaks()
		if err == nil && len(leaks) == 0 || h.t.Failed() || time.Now().After(until) {
			return leaks, err
		}
		// No event covers links, files and processes, so poll.
		time.Sleep(wait)
	}
}

// NoLeaks runs the leak check during a test: the test fails, and continues, unless the
// host is equal to the baseline within two seconds.
func (h *Node) NoLeaks(t testing.TB) {
	t.Helper()
	if leaks, err := h.settled(); err != nil || len(leaks) > 0 {
		t.Errorf("leak oracle, mode %s (%v): the host is not as it was:\n%s", h.oracle.mode, err, strings.Join(leaks, "\n"))
	}
}

// checkLeaks runs the leak check at the end of the test. In a test that has failed
// already, leaks are only logged.
func (h *Node) checkLeaks() {
	h.t.Helper()
	if h.oracle.off != "" || h.t.Skipped() {
		return
	}
	if !h.t.Failed() {
		h.NoLeaks(h.t)
		return
	}
	leaks, err := h.leaks()
	h.t.Logf("left behind (%v):\n%s", err, strings.Join(leaks, "\n"))
}
