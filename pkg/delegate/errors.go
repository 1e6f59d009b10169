package delegate

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// Why a call failed. Each is the end of a sentence that begins with the plugin.
var (
	ErrName          = errors.New("is not the name of a plugin")
	ErrNotFound      = errors.New("is in no directory of CNI_PATH")
	ErrNotExecutable = errors.New("is not executable")
	ErrFormat        = errors.New("is no program for this machine")
	ErrStart         = errors.New("could not be started")
	ErrEnded         = errors.New("was ended by signal")
	ErrTimeout       = errors.New("did not answer within")
	ErrInterrupted   = errors.New("was stopped, because this call was")
	ErrRefused       = errors.New("failed")
	ErrSilent        = errors.New("printed nothing")
	ErrGarbage       = errors.New("printed no answer of CNI")
)

// Error is what went wrong with a plugin. It wraps one of the reasons above.
type Error struct {
	Reason  error
	Msg     string // a sentence that names plugin and path
	Details string // those of its own error, and the end of what it said on stderr; may be ""
	Code    uint   // of the CNI error that it printed; 0 if it printed none
	Started bool   // it ran, and may have done something
}

// Error is the sentence.
func (e *Error) Error() string { return e.Msg }

// Unwrap is the reason.
func (e *Error) Unwrap() error { return e.Reason }

// fail makes an Error of a plugin that did not run; more is appended to the sentence.
func (p *Plugin) fail(reason error, more ...any) *Error {
	text := p.String() + " " + reason.Error()
	for _, m := range more {
		text += fmt.Sprint(" ", m)
	}
	return &Error{Reason: reason, Msg: text}
}

// unstarted says why the kernel did not start the program.
func (p *Plugin) unstarted(err error) *Error {
	var errno syscall.Errno
	errors.As(err, &errno)
	switch errno {
	case syscall.ENOEXEC:
		return p.fail(ErrFormat, "("+runtime.GOARCH+")")
	case syscall.EACCES:
		return p.fail(ErrNotExecutable)
	}
	return p.fail(ErrStart, "("+err.Error()+")")
}

// answer is what a plugin that has ended said.
type answer struct {
	state          *os.ProcessState
	stdout, stderr []byte // stderr: the end of it
	stopped        error  // why it was killed by us; nil if it was not
}

// failed makes an Error of a plugin that did run.
func (p *Plugin) failed(a answer, reason error, more ...any) *Error {
	e := p.fail(reason, more...)
	e.Started = true
	if said := oneLine(a.stderr); said != "" {
		e.Details = "on stderr it said: " + said
	}
	return e
}

// judge decides whether a call succeeded.
func (p *Plugin) judge(a answer) error {
	if a.state == nil {
		return p.failed(a, ErrEnded, "that nobody was told of")
	}
	status, _ := a.state.Sys().(syscall.WaitStatus)
	switch {
	case errors.Is(a.stopped, ErrTimeout):
		return p.failed(a, ErrTimeout, p.Deadline)
	case errors.Is(a.stopped, ErrGarbage):
		return p.failed(a, ErrGarbage, fmt.Sprintf("but more than %d bytes", maxStdout))
	case a.stopped != nil:
		return p.failed(a, ErrInterrupted)
	case status.Signaled():
		return p.failed(a, ErrEnded, fmt.Sprintf("%d (%s)", status.Signal(), status.Signal()))
	case !a.state.Success():
		return p.refused(a)
	}
	return nil
}

// refused reads the CNI error of a plugin whose exit status is not 0: CNI SPEC.md section 5, error.
func (p *Plugin) refused(a answer) *Error {
	exit := fmt.Sprintf("with exit status %d", a.state.ExitCode())
	var said struct {
		Code    uint   `json:"code"`
		Msg     string `json:"msg"`
		Details string `json:"details"`
	}
	switch err := json.Unmarshal(a.stdout, &said); {
	case len(strings.TrimSpace(string(a.stdout))) == 0:
		return p.failed(a, ErrSilent, "and ended", exit)
	case err != nil || said.Code == 0 && said.Msg == "":
		return p.failed(a, ErrGarbage, "and ended", exit+":", oneLine(a.stdout))
	}
	e := p.failed(a, ErrRefused)
	e.Code, e.Msg = said.Code, p.String()+": "+said.Msg
	if said.Details != "" {
		e.Details = strings.TrimSuffix(said.Details+"; "+e.Details, "; ")
	}
	return e
}

// Garbled is the Error of an answer that turned out not to be one; why is appended to the sentence.
func (p *Plugin) Garbled(why error) *Error {
	e := p.fail(ErrGarbage)
	e.Msg, e.Started = e.Msg+": "+why.Error(), true
	return e
}

// oneLine is the end of what a plugin said, on one line.
func oneLine(text []byte) string {
	const most = 500
	line := strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "?")), " ")
	if len(line) > most {
		line = "..." + strings.ToValidUTF8(line[len(line)-most:], "")
	}
	return line
}
