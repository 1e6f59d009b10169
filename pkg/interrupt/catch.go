package interrupt

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// caught is set by the handler. A handler has no arguments of ours, so it has to be a variable of
// the package; nothing but the handler writes it, and nothing takes it back.
var caught uint32

// action is what rt_sigaction(2) takes, struct sigaction of the kernel on amd64 and arm64.
type action struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	saOnStack  = 0x08000000 // the stack that Go gives every thread for signals
	saRestart  = 0x10000000 // a system call that was interrupted goes on
	saRestorer = 0x04000000 // amd64: restorer ends the handler
	sigIgnore  = 1          // SIG_IGN
)

// Context is done once one of the signals has come. Err costs a look at a variable. Done changes
// over to os/signal, so that its channel can be waited for. It has no deadline and no values.
type Context struct {
	changed  sync.Once
	notified atomic.Pointer[notified] // nil until Done was called
	before   []replaced
	signals  []os.Signal // those that are caught
}

// notified is what os/signal does for a Context.
type notified struct {
	context.Context
	stop func()
}

// replaced is a signal and what was done with it before.
type replaced struct {
	signal unix.Signal
	action action
}

// Catch notices the signals from now on, instead of ending the process. One that is ignored, as
// nohup(1) leaves SIGHUP, stays ignored. Stop gives the others back their effect. Where there is no
// handler for the machine, os/signal catches them. A process calls it once.
func Catch() (ctx *Context, stop func()) {
	c := &Context{}
	handle := action{handler: handlerAddress(), restorer: restorerAddress(), flags: saOnStack | saRestart}
	if handle.restorer != 0 {
		handle.flags |= saRestorer
	}
	for _, s := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		c.catch(s, &handle)
	}
	if len(c.before) < len(c.signals) {
		_ = c.Done()
	}
	return c, c.end
}

func (c *Context) catch(s unix.Signal, handle *action) {
	before := action{}
	if exchange(s, nil, &before) == nil && before.handler == sigIgnore {
		return
	}
	c.signals = append(c.signals, s)
	if handle.handler != 0 && exchange(s, handle, nil) == nil {
		c.before = append(c.before, replaced{s, before})
	}
}

// Err is context.Canceled once a signal has come.
func (c *Context) Err() error {
	if atomic.LoadUint32(&caught) != 0 {
		return context.Canceled
	}
	if n := c.notified.Load(); n != nil {
		return n.Err()
	}
	return nil
}

// Done is closed when a signal comes, or has come.
func (c *Context) Done() <-chan struct{} {
	c.changed.Do(c.changeOver)
	return c.notified.Load().Done()
}

// Deadline says that there is none.
func (c *Context) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value is nil for every key but those that package context uses itself.
func (c *Context) Value(key any) any {
	if n := c.notified.Load(); n != nil {
		return n.Value(key)
	}
	return nil
}

// changeOver lets os/signal listen before the handler goes, so that no signal falls between.
func (c *Context) changeOver() {
	parent, cancel := context.WithCancel(context.Background())
	n := &notified{}
	n.Context, n.stop = parent, cancel
	if len(c.signals) > 0 { // of none, os/signal would make all
		ctx, stop := signal.NotifyContext(parent, c.signals...)
		n.Context, n.stop = ctx, func() { stop(); cancel() }
	}
	c.giveBack()
	if atomic.LoadUint32(&caught) != 0 {
		cancel()
	}
	c.notified.Store(n)
}

// giveBack restores what was done with the signals before.
func (c *Context) giveBack() {
	for _, r := range c.before {
		_ = exchange(r.signal, &r.action, nil) // what could be set once can be set again
	}
	c.before = nil
}

func (c *Context) end() {
	c.changed.Do(func() { c.giveBack(); c.notified.Store(ended()) })
	c.notified.Load().stop()
}

// ended is for a Context that is no longer needed.
func ended() *notified {
	ctx, cancel := context.WithCancel(context.Background())
	return &notified{ctx, cancel}
}

// exchange sets what a signal does and tells what it did before; nil leaves either out.
func exchange(s unix.Signal, set, before *action) error {
	const maskSize = 8
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(before)), maskSize, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
