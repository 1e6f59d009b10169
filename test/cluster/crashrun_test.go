package cluster

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/noderoute"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
)

// crashRun is one run under the stepper.
type crashRun struct {
	nth          int     // the changing call before which it is killed; 0: none
	after        *moment // of a run without a kill; nil if this is one
	begins, ends moment
	calls        []stepper.Call
	killed       bool
}

// moment is what a runtime and a packet find on the host.
type moment struct {
	conflist string
	ready    bool // the ready file exists
	routes   []noderoute.Route
}

// see reads a moment in the namespaces of the calling thread, and reports files that a runtime would read besides the network configuration.
func see(t testing.TB) (m moment) {
	t.Helper()
	table, err := noderoute.Open()
	if err == nil {
		defer table.Close()
		m.routes, err = table.List()
	}
	if err != nil {
		t.Error(err)
	}
	entries, _ := os.ReadDir(filepath.Dir(conflist))
	for _, e := range entries {
		if slices.Contains([]string{".conf", ".conflist", ".json"}, filepath.Ext(e.Name())) && e.Name() != filepath.Base(conflist) {
			t.Errorf("a runtime reads %s", e.Name())
		}
	}
	text, _ := os.ReadFile(conflist)
	m.conflist = string(text)
	_, err = os.Stat(readyFile)
	m.ready = err == nil
	return m
}

// leadsTo reports whether a packet to a destination finds a route.
func (m moment) leadsTo(dst netip.Prefix) bool {
	return slices.ContainsFunc(m.routes, func(r noderoute.Route) bool { return r.Dst == dst })
}

// counts reports whether a call changes the kernel or files. What the agent sends to the API server changes nothing, and its number differs.
func counts(c *stepper.Call) bool { return c.Changing && c.Kind != stepper.Packet }

// texts returns the calls that count.
func (r *crashRun) texts() (texts []string) {
	for _, c := range r.calls {
		if counts(&c) {
			texts = append(texts, c.Text)
		}
	}
	return texts
}

// run runs the agent, or --clean, from the state of the case, until its pass is complete or it is killed.
func (l *crashLab) run(t *testing.T, c crashCase, r crashRun) crashRun {
	t.Helper()
	n := l.first
	c.prepare(l)
	c.change(l)
	p := stepper.Program{Path: agentProgram(t), Args: []string{"--clean"}, Env: []string{"GOMAXPROCS=1"}, Details: true, Limit: time.Minute}
	if !c.clean {
		p.Args = []string{"--node", n.object.name, "--apiserver", apiURL, "--token-file", l.api.path("token"), "--ca-file", l.api.path("apiserver.crt")}
	}
	var ending stepper.Ending
	var err error
	n.Do(func() {
		r.begins = see(t)
		ending, err = stepper.Run(p, r.watch(t))
		r.ends = see(t)
	})
	r.calls, r.killed = ending.Calls, ending.Signal == syscall.SIGKILL && !ending.TimedOut
	if err != nil || ending.TimedOut || !r.killed && ending.Exit != 0 {
		t.Fatalf("%v, timed out: %t, exit status %d\n%s", err, ending.TimedOut, ending.Exit, ending.Stderr)
	}
	return r
}

// watch looks at the host at each call that counts, kills the program, and ends it behind the status of a whole pass.
func (r *crashRun) watch(t *testing.T) func(stepper.Step) stepper.Act {
	n, isDone := 0, false
	return func(s stepper.Step) stepper.Act {
		if !counts(s.Call) {
			return stepper.Go()
		}
		r.compare(t, s)
		switch {
		case !s.After:
			if n++; n == r.nth {
				return stepper.Signal(syscall.SIGKILL)
			}
		case !isDone && strings.HasPrefix(s.Text, "rename ") && strings.HasSuffix(s.Text, "-> "+statusFile) && isComplete():
			isDone = true
			return stepper.Signal(syscall.SIGTERM)
		}
		return stepper.Go()
	}
}

// isComplete reads the status: a pass with all nodes has written, or found, the network configuration.
func isComplete() bool {
	var s status
	text, _ := os.ReadFile(statusFile)
	return json.Unmarshal(text, &s) == nil && s.Synced && s.Conflist != ""
}

// compare requires what holds at each moment.
func (r *crashRun) compare(t *testing.T, s stepper.Step) {
	t.Helper()
	now := see(t)
	if r.after == nil {
		return
	}
	if now.conflist != r.begins.conflist && now.conflist != r.after.conflist {
		t.Errorf("at %s the network configuration is %q", s.Text, now.conflist)
	}
	opened := now.ready && !r.begins.ready || now.conflist == r.after.conflist && now.conflist != r.begins.conflist
	if now.conflist != "" && !now.ready && now.conflist != r.begins.conflist {
		t.Errorf("at %s the network configuration is there, and the ready file that it names is not", s.Text)
	}
	for _, route := range r.after.routes {
		if r.begins.leadsTo(route.Dst) && !now.leadsTo(route.Dst) {
			t.Errorf("at %s there is no route to %s", s.Text, route.Dst)
		}
		if opened && !now.leadsTo(route.Dst) {
			t.Errorf("at %s pods can be attached, and there is no route to %s", s.Text, route.Dst)
		}
	}
}

// checkSyncs requires that a file is on the disk before it gets its name, and its name then.
func checkSyncs(t *testing.T, calls []stepper.Call) {
	t.Helper()
	for i, c := range calls {
		if c.Detail.Op != "rename" {
			continue
		}
		last := ""
		for _, before := range calls[:i] {
			if before.Path == c.Path && before.Kind != stepper.Read {
				last = before.Detail.Op
			}
		}
		if last != "fsync" {
			t.Errorf("%s: the last call on the file before is %q", c.Text, last)
		}
		synced := func(c stepper.Call) bool { return c.Kind == stepper.Sync && c.Path == filepath.Dir(calls[i].Detail.To) }
		if !slices.ContainsFunc(calls[i:], synced) {
			t.Errorf("%s: the directory is not synchronized", c.Text)
		}
	}
}
