package vm

import (
	"bufio"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/test/kit/vm/wire"
)

// commandLimit bounds one command in the machine.
const commandLimit = 10 * time.Minute

var (
	errEnded = errors.New("the machine ended")
	errLimit = errors.New("no answer in " + commandLimit.String())
)

// answer is what came of a request.
type answer struct {
	wire.Answer
	err error
}

// Result is the end of a command.
type Result struct {
	Exit           int
	Stdout, Stderr string
}

// Run runs a command as root, and returns its standard output. The test ends if it fails.
func (m *Machine) Run(t testing.TB, args ...string) string {
	t.Helper()
	r := m.Try(t, args...)
	if r.Exit != 0 {
		t.Fatalf("in the machine: %s: exit %d\n%s%s", strings.Join(args, " "), r.Exit, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Shell runs a script of sh as root, and returns its standard output. The test ends if a command of it fails.
func (m *Machine) Shell(t testing.TB, script string) string {
	t.Helper()
	return m.Run(t, "sh", "-euc", script)
}

// Try runs a command as root.
func (m *Machine) Try(t testing.TB, args ...string) Result {
	t.Helper()
	return m.request(t, nil, args)
}

// Write creates a file of the machine with its directory, or replaces it.
func (m *Machine) Write(t testing.TB, path, mode string, content []byte) {
	t.Helper()
	const script = `mkdir -p "${0%/*}" && cat >"$0.new" && chmod "$1" "$0.new" && mv "$0.new" "$0"`
	if r := m.request(t, content, []string{"sh", "-euc", script, path, mode}); r.Exit != 0 {
		t.Fatalf("write %s in the machine: %s", path, r.Stderr)
	}
}

// request sends a request and waits for its answer.
func (m *Machine) request(t testing.TB, stdin []byte, args []string) Result {
	t.Helper()
	id, answers := m.enlist()
	line, err := json.Marshal(wire.Request{ID: id, Args: args, Stdin: stdin})
	if err == nil {
		_, err = m.port.Write(append(line, '\n'))
	}
	a := answer{err: err}
	if err == nil {
		a = m.awaitAnswer(answers)
	}
	if a.err == nil && a.Error != "" {
		a.err = errors.New(a.Error)
	}
	if a.err != nil {
		t.Fatalf("in the machine: %s: %v\n%s", strings.Join(args, " "), a.err, m.consoleEnd())
	}
	return Result{a.Exit, string(a.Stdout), string(a.Stderr)}
}

func (p *power) enlist() (int, chan answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	answers := make(chan answer, 1)
	p.waiting[p.last] = answers
	return p.last, answers
}

func (p *power) awaitAnswer(answers chan answer) answer {
	select {
	case a := <-answers:
		return a
	case <-p.ended:
		return answer{err: errEnded}
	case <-time.After(commandLimit):
		return answer{err: errLimit}
	}
}

// receive passes the answers on until the machine ends.
func (p *power) receive() {
	in := bufio.NewReader(p.port)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var a wire.Answer
		if json.Unmarshal(line, &a) != nil {
			continue // the empty line of the beginning
		}
		if a.Boot != "" {
			close(p.ready)
			continue
		}
		p.deliver(a)
	}
}

func (p *power) deliver(a wire.Answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if answers, is := p.waiting[a.ID]; is {
		answers <- answer{Answer: a}
		delete(p.waiting, a.ID)
	}
}
