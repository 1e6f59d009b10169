// Package inside owns the way to call a Go library of runtimes on a host that is a namespace: such libraries start plugins from any
// thread of their process, so the test's own program is started once more inside, does what it is asked and tells what came of it.
// It knows no library: what can be asked is the caller's.
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

// Deeds are what can be asked for: each takes what Ask was given, as JSON, and returns what Ask shall decode.
type Deeds map[string]func(input json.RawMessage) (any, error)

// question and answer are a line each.
type question struct {
	Deed  string
	Input json.RawMessage
}

type answer struct {
	Output json.RawMessage
	Error  string
}

// Main is for TestMain: it runs the tests, or in the program inside does what it is asked until nobody asks any more.
func Main(m *testing.M, deeds Deeds) {
	if os.Getenv(marker) == "" {
		os.Exit(m.Run())
	}
	if err := serve(os.Stdin, os.Stdout, deeds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(in io.Reader, out io.Writer, deeds Deeds) error {
	questions, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q question
		err := questions.Decode(&q)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := answers.Encode(do(q, deeds)); err != nil {
			return err
		}
	}
}

func do(q question, deeds Deeds) answer {
	deed, known := deeds[q.Deed]
	if !known {
		return answer{Error: "nobody knows how to " + q.Deed}
	}
	output, err := deed(q.Input)
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
}

// Start starts the test's program inside the host. It ends with the test, before the oracle looks.
func Start(t testing.TB, h *nettest.Node) *Program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := h.Command(self)
	cmd.Env = append(os.Environ(), marker+"=1")
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
		t.Fatalf("start %s inside: %v", self, err)
	}
	h.Allow(fmt.Sprintf("process %d:", cmd.Process.Pid))
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program inside: %v", err)
		}
	})
	return &Program{in: in, out: bufio.NewReader(out)}
}

// Ask has one deed done. What comes back is decoded into output, unless that is nil; the error is the deed's own.
func (p *Program) Ask(t testing.TB, deed string, input, output any) error {
	t.Helper()
	text, err := json.Marshal(input)
	if err == nil {
		err = json.NewEncoder(p.in).Encode(question{Deed: deed, Input: text})
	}
	if err != nil {
		t.Fatalf("ask for %s: %v", deed, err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("answer to %s: %v", deed, err)
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		t.Fatalf("answer to %s: %v: %s", deed, err, line)
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	if output == nil {
		return nil
	}
	return json.Unmarshal(a.Output, output)
}
