package nettest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// oracle is what the leak oracle of one host knows.
type oracle struct {
	mode    Mode
	off     string        // why it does not judge
	wait    time.Duration // until a difference is a leak
	first   *Snapshot
	roots   []string
	allowed []string
	guests  []*os.File // process namespaces whose processes are not pictured
}

// patience is how long the oracle lets the host settle: the kernel deletes a
// namespace and the veths in it some time after the last reference has gone.
const patience = 2 * time.Second

// Baseline takes the picture that the host is compared with at the end of the
// test, and those of its containers. Host takes the first; a test that builds
// on the host by hand calls it when it is done. Host.Bridge and Host.LAN add
// what they make by themselves.
func (h *Node) Baseline() {
	h.t.Helper()
	first := h.Snapshot()
	for _, c := range h.living() {
		picture, err := c.picture()
		if err != nil {
			h.t.Fatalf("picture of container %s: %v", c.name, err)
		}
		h.mu.Lock()
		c.first = picture
		h.mu.Unlock()
	}
	h.mu.Lock()
	h.oracle.first = first
	h.mu.Unlock()
}

// Oracle sets how strict the comparison at the end of the test is. It is
// Attachment unless a test says CleanHost.
func (h *Node) Oracle(mode Mode) { h.oracle.mode = mode }

// NoOracle switches the comparison off; for benchmarks, which give the reason.
func (h *Node) NoOracle(reason string) { h.oracle.off = reason }

// Allow excuses differences whose line, without the sign before it, begins with
// prefix: "address br0 " for a test of forceAddress.
func (h *Node) Allow(prefix string) { h.oracle.allowed = append(h.oracle.allowed, prefix) }

// Disregard leaves a process, and all of the process namespace that it is in, out of pictures from
// now on: a firewall or another daemon that runs on the host for the whole test. What else it makes
// is pictured as ever.
func (h *Node) Disregard(pid int) {
	h.t.Helper()
	// Held open, its number is nobody else's for as long as the host lives.
	guest, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		h.t.Fatalf("disregard processes: %v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.oracle.guests = append(h.oracle.guests, guest)
}

// adopt makes links that the harness itself has made part of the baseline.
func (h *Node) adopt(links ...string) {
	h.t.Helper()
	now := h.Snapshot()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.oracle.first.adopt(now, links)
}

// Leaks compares the host and its living containers with the baseline, now and
// once. The oracle at the end of a test does this until nothing differs or
// patience ends.
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
	for _, c := range h.living() {
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

// leaks compares a container with its first picture, and looks for its pin.
func (c *Container) leaks() ([]string, error) {
	now, err := c.picture()
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

// settled compares until nothing differs or the oracle has no patience left;
// with a test that has failed it has none.
func (h *Node) settled() ([]string, error) {
	until := time.Now().Add(h.oracle.wait)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		leaks, err := h.leaks()
		if err == nil && len(leaks) == 0 || h.t.Failed() || time.Now().After(until) {
			return leaks, err
		}
		// No single event tells it all: links, files and processes may lag.
		time.Sleep(wait)
	}
}

// NoLeaks is the oracle in the middle of a test: the host must become as the
// baseline has it within two seconds, else the test fails and goes on.
func (h *Node) NoLeaks(t testing.TB) {
	t.Helper()
	if leaks, err := h.settled(); err != nil || len(leaks) > 0 {
		t.Errorf("leak oracle, mode %s (%v): the host is not as it was:\n%s", h.oracle.mode, err, strings.Join(leaks, "\n"))
	}
}

// judge is the oracle at the end of the test. What a test that has failed
// already leaves behind is told, but not counted again.
func (h *Node) judge() {
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
