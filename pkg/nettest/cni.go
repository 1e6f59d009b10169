package nettest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
)

// Call is one call of a CNI plugin.
type Call struct {
	Command     string // CNI_COMMAND: ADD, DEL, CHECK, STATUS, GC, VERSION
	ContainerID string
	Netns       string
	IfName      string
	Args        string   // CNI_ARGS
	Path        string   // CNI_PATH; the plugin's own directory when empty
	Config      []byte   // standard input
	Env         []string // more variables, "NAME=value"; they override the others
	Unset       []string // CNI variables to omit; the others are set even if empty
	Plugin      string   // path of the program; the plugin under test when empty
}

// Answer is the output and exit status of a plugin.
type Answer struct {
	Exit   int // exit status; -1 if a signal ended it
	Stdout []byte
	Stderr []byte
}

// Running is a plugin that has been started.
type Running struct {
	cmd            *Cmd
	stdout, stderr bytes.Buffer
}

// CNI calls the plugin on the host and waits for its end. The environment has the
// variables of the call and PATH only.
func (h *Node) CNI(t testing.TB, c Call) Answer {
	t.Helper()
	return h.StartCNI(t, c).Wait(t)
}

// StartCNI starts a call without waiting; several may run at the same time.
func (h *Node) StartCNI(t testing.TB, c Call) *Running {
	t.Helper()
	if c.Plugin == "" {
		c.Plugin = Patchbay(t)
	}
	r := &Running{cmd: h.Command(c.Plugin)}
	r.cmd.Env = c.environ()
	r.cmd.Stdin = bytes.NewReader(c.Config)
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("start %s %s: %v", c.Plugin, c.Command, err)
	}
	return r
}

// environ is the environment of a call. libcni sets every variable, also the
// empty ones (a DEL without namespace has CNI_NETNS= and not no CNI_NETNS).
func (c Call) environ() []string {
	path := c.Path
	if path == "" {
		path = filepath.Dir(c.Plugin)
	}
	vars := [][2]string{
		{"CNI_COMMAND", c.Command},
		{"CNI_CONTAINERID", c.ContainerID},
		{"CNI_NETNS", c.Netns},
		{"CNI_IFNAME", c.IfName},
		{"CNI_ARGS", c.Args},
		{"CNI_PATH", path},
	}
	env := []string{"PATH=" + os.Getenv("PATH")}
	for _, v := range vars {
		if !slices.Contains(c.Unset, v[0]) {
			env = append(env, v[0]+"="+v[1])
		}
	}
	return append(env, c.Env...)
}

// Signal sends a signal to the plugin.
func (r *Running) Signal(s syscall.Signal) error { return r.cmd.Process.Signal(s) }

// PID returns the plugin's process ID, valid until Wait returns.
func (r *Running) PID() int { return r.cmd.Process.Pid }

// Wait waits for the plugin's end and returns its answer.
func (r *Running) Wait(t testing.TB) Answer {
	t.Helper()
	err := r.cmd.Wait()
	if r.cmd.ProcessState == nil {
		t.Fatalf("wait for plugin: %v", err)
	}
	return Answer{Exit: r.cmd.ProcessState.ExitCode(), Stdout: r.stdout.Bytes(), Stderr: r.stderr.Bytes()}
}

// OK ends the test unless the plugin succeeded, and returns the answer.
func (a Answer) OK(t testing.TB) Answer {
	t.Helper()
	if a.Exit != 0 {
		t.Fatalf("plugin failed: %s", a)
	}
	return a
}

// Error decodes the CNI error of a call that failed. The test ends when the
// call succeeded or printed anything else than one error with a code.
func (a Answer) Error(t testing.TB) *types.Error {
	t.Helper()
	e := &types.Error{}
	if a.Exit == 0 {
		t.Fatalf("plugin succeeded, an error was expected: %s", a)
	}
	if err := json.Unmarshal(a.Stdout, e); err != nil || e.Code == 0 {
		t.Fatalf("not a CNI error (%v): %s", err, a)
	}
	return e
}

// Result decodes the result of an ADD of whatever version into the newest form.
// The test ends when the call failed or printed no result.
func (a Answer) Result(t testing.TB) *types100.Result {
	t.Helper()
	a.OK(t)
	r, err := create.CreateFromBytes(a.Stdout)
	if err != nil {
		t.Fatalf("not a CNI result (%v): %s", err, a)
	}
	res, err := types100.GetResult(r)
	if err != nil {
		t.Fatalf("convert CNI result (%v): %s", err, a)
	}
	return res
}

// String returns a text for failure messages.
func (a Answer) String() string {
	return fmt.Sprintf("exit %d\nstdout: %s\nstderr: %s", a.Exit, a.Stdout, a.Stderr)
}
