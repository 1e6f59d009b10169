package attach

import (
	"context"
	"errors"
	"fmt"
)

// undo is what has to happen if a later step fails, in reverse order.
type undo struct {
	steps []func() error
}

func (u *undo) push(step func() error) { u.steps = append(u.steps, step) }

// onError runs the steps if err has become one. What cannot be undone is added to it; the
// record then stays, and DEL or the next ADD finds the rest.
func (u *undo) onError(err *error) {
	if *err == nil {
		return
	}
	var failed error
	for i := len(u.steps) - 1; i >= 0; i-- {
		failed = errors.Join(failed, u.steps[i]())
	}
	if failed != nil {
		*err = fmt.Errorf("%w (and undoing it: %w)", *err, failed)
	}
}

// step is one of an ADD, by the name that the log has for it.
type step struct {
	name string
	do   func(context.Context) error
}

// inTurn runs steps until one fails or ctx is done: a signal ends an ADD between two steps.
// One that comes with the last step is too late, the runtime has its answer.
func inTurn(ctx context.Context, req *Request, steps ...step) error {
	for _, s := range steps {
		if ctx.Err() != nil {
			return errInterrupted
		}
		if err := req.step(s.name, func() error { return s.do(ctx) }); err != nil {
			return err
		}
	}
	return nil
}
