package attach

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// undo lists what an ADD must remove if a later step fails.
type undo struct {
	removals []undoStep // of kernel objects and addresses of other plugins; all of them run
	releases []undoStep // of addresses and record; they run last, and only if every removal succeeded
}

// undoStep removes one thing that a step of ADD created.
type undoStep struct {
	what string // noun phrase for the details of the error if the thing remains, such as "host interface veth0"
	do   func() error
}

// push registers the removal of what, before what is created: the creation can fail after the kernel has done it.
func (u *undo) push(what string, do func() error) {
	u.removals = append(u.removals, undoStep{what, do})
}

// pushRelease registers the release of addresses or of the record. An address must not be assigned again while an interface,
// a route or an element of the failed ADD may still use it, and DEL and GC find what remains by the record.
func (u *undo) pushRelease(what string, do func() error) {
	u.releases = append(u.releases, undoStep{what, do})
}

// onError undoes the ADD if *err is not nil: all removals in reverse order, then the releases in reverse order. After a
// failure no release runs. *err becomes an undoError that wraps it and lists what remains.
func (u *undo) onError(err *error) {
	if *err == nil {
		return
	}
	undone := &undoError{err: *err}
	for i := len(u.removals) - 1; i >= 0; i-- {
		undone.add(u.removals[i], u.removals[i].do())
	}
	for i := len(u.releases) - 1; i >= 0; i-- {
		if undone.failed != nil {
			undone.remains = append(undone.remains, u.releases[i].what)
			continue
		}
		undone.add(u.releases[i], u.releases[i].do())
	}
	*err = undone
}

// undoError is the error of an ADD, with what could not be undone.
type undoError struct {
	err     error
	failed  error    // errors of undo steps, joined; nil if everything was undone
	remains []string // what these steps and the steps after them would have removed
}

// add records the result of a step.
func (e *undoError) add(s undoStep, err error) {
	if err != nil {
		e.failed = errors.Join(e.failed, err)
		e.remains = append(e.remains, s.what)
	}
}

func (e *undoError) Error() string {
	if e.failed == nil {
		return e.err.Error()
	}
	return fmt.Sprintf("%v (and undoing it: %v)", e.err, e.failed)
}

// Unwrap returns the error of the ADD without those of undo: code and remedy follow from the first failure alone.
func (e *undoError) Unwrap() error { return e.err }

// fix returns the details of the error: what remains and who removes it, then the remedy of the first failure.
func (e *undoError) fix(c cause) string {
	switch {
	case e.failed != nil:
		return "left behind: " + strings.Join(e.remains, ", ") + "; call DEL, which removes what could not be undone; " + c.fix
	case errors.Is(e.err, errInterrupted), errors.Is(e.err, errOutput):
		return "nothing was left behind; " + c.fix
	}
	return c.fix
}

// step is one step of a verb. The log has the name of each step and how long it took.
type step struct {
	name string
	do   func(context.Context) error
}

// runSteps runs steps in order until one fails or ctx is done: a signal ends an ADD between two steps. A signal during the last
// step has no effect, because the runtime then has the result.
func runSteps(ctx context.Context, req *Request, steps ...step) error {
	for _, s := range steps {
		if ctx.Err() != nil {
			return errInterrupted
		}
		if err := req.Step(s.name, func() error { return s.do(ctx) }); err != nil {
			return err
		}
	}
	return nil
}
