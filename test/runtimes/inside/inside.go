// Package inside calls a Go library of a runtime on a host that is a namespace. Such libraries start plugins from any
// thread of their process, so the test's own executable is started again inside, makes the calls and returns the
// results.
package inside

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// marker is set in the environment of the program inside.
const marker = "PATCHBAY_TEST_INSIDE"

// Calls are the calls that Ask can make, by name. Each takes the input of Ask, as JSON, and returns its output.
type Calls map[string]func(input json.RawMessage) (any, error)

// request and answer are one line each.
type request struct {
	Call  string
	Input json.RawMessage
}

type answer struct {
	Output json.RawMessage
	Error  string
}

// Main is for TestMain: it runs the tests, or in the program inside makes the requested calls until its input ends.
func Main(m *testing.M, calls Calls) {
	if os.Getenv(marker) == "" {
		os.Exit(m.Run())
	}
	if err := serve(os.Stdin, os.Stdout, calls); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(in io.Reader, out io.Writer, calls Calls) error {
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q request
		err := requests.Decode(&q)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := answers.Encode(do(q, calls)); err != nil {
			return err
		}
	}
}

func do(q request, calls Calls) answer {
	call, known := calls[q.Call]
	if !known {
		return answer{Error: "unknown call " + q.Call}
	}
	output, err := call(q.Input)
	if err != nil {
		return answer{Error: err.Error()}
	}
	text, err := json.Marshal(output)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Output: text}
}

// Program is the program inside.
type Program struct {
	in  io.WriteCloser
	out *bufio.Reader

	process *os.Process
	killed  bool
}

// Start starts the test's executable inside the host. It ends with the test, before the oracle looks.
func Start(t testing.TB, h *nettest.Node) *Program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return StartOther(t, h, self, marker+"=1")
}

// StartOther is Start for another program that answers requests in the same form, with more variables of its environment.
func StartOther(t testing.TB, h *nettest.Node, path string, env ...string) *Program {
	t.Helper()
	cmd := h.Command(path)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s inside: %v", path, err)
	}
	h.Allow(fmt.Sprintf("process %d:", cmd.Process.Pid))
	p := &Program{in: in, out: bufio.NewReader(out), process: cmd.Process}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil && !p.killed {
			t.Errorf("the program inside: %v", err)
		}
	})
	return p
}

// Kill ends the program with SIGKILL.
func (p *Program) Kill(t testing.TB) {
	t.Helper()
	p.killed = true
	if err := p.process.Kill(); err != nil {
		t.Fatalf("kill the program inside: %v", err)
	}
	_, _ = io.Copy(io.Discard, p.out) // ends with the process
}

// Ask makes one call. Its output is decoded into output, unless that is nil; the error is that of the call.
func (p *Program) Ask(t testing.TB, call string, input, output any) error {
	t.Helper()
	text, err := json.Marshal(input)
	if err == nil {
		err = json.NewEncoder(p.in).Encode(request{Call: call, Input: text})
	}
	if err != nil {
		t.Fatalf("ask for %s: %v", call, err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("answer to %s: %v", call, err)
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		t.Fatalf("answer to %s: %v: %s", call, err, line)
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	if output == nil {
		return nil
	}
	return json.Unmarshal(a.Output, output)
}
