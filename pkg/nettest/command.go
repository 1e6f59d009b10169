package nettest

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Cmd is an exec.Cmd that starts inside a namespace. Set Stdin, Stdout, Env,
// Dir before it starts, as with exec.Cmd.
type Cmd struct {
	*exec.Cmd
	netns *Netns
}

// Command returns a command that runs in the namespace, with the mounts of its
// host. The kernel kills it when the host is removed, unless SysProcAttr is set.
func (n *Netns) Command(name string, args ...string) *Cmd {
	return &Cmd{Cmd: exec.Command(name, args...), netns: n}
}

// Start starts the program on the namespace's thread. Waiting needs no thread:
// many programs may run at once.
func (c *Cmd) Start() error {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	var err error
	c.netns.Do(func() { err = c.Cmd.Start() })
	return err
}

// Run starts the program and waits for its end. Errors are exec.Cmd's.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and returns its standard output. When Stderr is not
// set, an *exec.ExitError has the program's standard error.
func (c *Cmd) Output() ([]byte, error) {
	var stdout, stderr bytes.Buffer
	c.Stdout = &stdout
	if c.Stderr == nil {
		c.Stderr = &stderr
	}
	err := c.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		exit.Stderr = stderr.Bytes()
	}
	return stdout.Bytes(), err
}

// CombinedOutput runs the program and returns what it wrote to both outputs.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}

// Run runs a program inside the namespace and returns its standard output. The
// test ends, with both outputs shown, when the program fails.
func (n *Netns) Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	c := n.Command(name, args...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("in %s: %s %s: %v\n%s%s", n.name, name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}
