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

// Reasons why a call failed. An Error adds the plugin.
var (
	ErrName          = errors.New("invalid plugin name")
	ErrNotFound      = errors.New("not found in CNI_PATH")
	ErrNotExecutable = errors.New("not executable")
	ErrFormat        = errors.New("not an executable for this machine")
	ErrStart         = errors.New("start failed")
	ErrEnded         = errors.New("ended by signal")
	ErrTimeout       = errors.New("no answer within")
	ErrNoTime        = errors.New("not started, the time limit of this CNI verb has passed")
	ErrInterrupted   = errors.New("stopped together with this call")
	ErrRefused       = errors.New("plugin error")
	ErrSilent        = errors.New("no output")
	ErrGarbage       = errors.New("invalid output")
)

// Error is a failed call of a plugin. It wraps one of the reasons above.
type Error struct {
	Reason  error
	Msg     string // names the plugin, its path and the reason
	Details string // details of the plugin's own error, and the end of its stderr; may be ""
	Code    uint   // code of the CNI error that it printed; 0 if it printed none
	Started bool   // it was started, and may have changed something
}

// Error returns Msg.
func (e *Error) Error() string { return e.Msg }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Reason }

// fail returns the Error of a plugin that was not started. more is appended to the text.
func (p *Plugin) fail(reason error, more ...any) *Error {
	text := p.String() + ": " + reason.Error()
	for _, m := range more {
		text += fmt.Sprint(" ", m)
	}
	return &Error{Reason: reason, Msg: text}
}

// unstarted returns the Error that execve(2) caused.
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

// answer is the output and the exit status of a plugin that has ended.
type answer struct {
	state          *os.ProcessState
	stdout, stderr []byte // stderr: the last keptStderr bytes
	stopped        error  // why this process killed it; nil if it did not
}

// failed returns the Error of a plugin that was started. more is appended to the text.
func (p *Plugin) failed(a answer, reason error, more ...any) *Error {
	e := p.fail(reason, more...)
	e.Started = true
	if said := oneLine(a.stderr); said != "" {
		e.Details = "on stderr it said: " + said
	}
	return e
}

// check returns nil if a call succeeded, else its Error.
func (p *Plugin) check(a answer) error {
	if a.state == nil {
		return p.failed(a, ErrEnded, "of unknown number")
	}
	status, _ := a.state.Sys().(syscall.WaitStatus)
	switch {
	case errors.Is(a.stopped, ErrTimeout):
		return p.failed(a, ErrTimeout, p.Deadline)
	case errors.Is(a.stopped, ErrGarbage):
		return p.failed(a, ErrGarbage, fmt.Sprintf("of more than %d bytes", maxStdout))
	case a.stopped != nil:
		return p.failed(a, ErrInterrupted)
	case status.Signaled():
		return p.failed(a, ErrEnded, fmt.Sprintf("%d (%s)", status.Signal(), status.Signal()))
	case !a.state.Success():
		return p.refused(a)
	}
	return nil
}

// refused decodes the CNI error of a plugin whose exit status is not 0 (CNI SPEC section 5).
func (p *Plugin) refused(a answer) *Error {
	exit := fmt.Sprintf("exit status %d", a.state.ExitCode())
	var said struct {
		Code    uint   `json:"code"`
		Msg     string `json:"msg"`
		Details string `json:"details"`
	}
	switch err := json.Unmarshal(a.stdout, &said); {
	case len(strings.TrimSpace(string(a.stdout))) == 0:
		return p.failed(a, ErrSilent, "and", exit)
	case err != nil || said.Code == 0 && said.Msg == "":
		return p.failed(a, ErrGarbage, "and", exit+":", oneLine(a.stdout))
	}
	e := p.failed(a, ErrRefused)
	e.Code, e.Msg = said.Code, p.String()+": "+said.Msg
	if said.Details != "" {
		e.Details = strings.TrimSuffix(said.Details+"; "+e.Details, "; ")
	}
	return e
}

// Garbled returns the Error of an output that cannot be used. why is appended to the text.
func (p *Plugin) Garbled(why error) *Error {
	e := p.fail(ErrGarbage)
	e.Msg, e.Started = e.Msg+": "+why.Error(), true
	return e
}

// oneLine returns the end of a plugin's stderr on one line.
func oneLine(text []byte) string {
	const most = 500
	line := strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "?")), " ")
	if len(line) > most {
		line = "..." + strings.ToValidUTF8(line[len(line)-most:], "")
	}
	return line
}
