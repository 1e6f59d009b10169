package interrupt

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// caught is set by the handler. A handler has no arguments of ours, so it has to be a variable of
// the package; nothing but the handler writes it.
var caught uint32

func signals() []os.Signal { return []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} }

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
)

// Context is done once one of the signals has come. Err costs a look at a variable. Done changes
// over to os/signal, so that its channel can be waited for.
type Context struct {
	context.Context // until Done was called the background
	once            sync.Once
	before          []action
	stop            func()
}

// Catch notices the signals from now on, instead of ending the process. Stop gives them back their
// effect. If they cannot be caught that way, they are by os/signal.
func Catch() (ctx *Context, stop func()) {
	c := &Context{Context: context.Background()}
	handle := action{handler: handlerAddress(), restorer: restorerAddress(), flags: saOnStack | saRestart}
	if handle.restorer != 0 {
		handle.flags |= saRestorer
	}
	for _, s := range signals() {
		before := action{}
		if exchange(s, &handle, &before) != nil {
			c.once.Do(c.changeOver)
			break
		}
		c.before = append(c.before, before)
	}
	return c, c.end
}

// Err is context.Canceled once a signal has come.
func (c *Context) Err() error {
	if atomic.LoadUint32(&caught) != 0 {
		return context.Canceled
	}
	return c.Context.Err()
}

// Done is closed when a signal comes, or has come.
func (c *Context) Done() <-chan struct{} {
	c.once.Do(c.changeOver)
	return c.Context.Done()
}

// changeOver lets os/signal listen before the handler goes, so that no signal falls between.
func (c *Context) changeOver() {
	ctx, cancel := context.WithCancel(context.Background())
	notified, stop := signal.NotifyContext(ctx, signals()...)
	c.Context = notified
	c.stop = func() { stop(); cancel() }
	c.giveBack()
	if atomic.LoadUint32(&caught) != 0 {
		cancel()
	}
}

// giveBack restores what was done with the signals before.
func (c *Context) giveBack() {
	for i, before := range c.before {
		_ = exchange(signals()[i], &before, nil) // what could be set once can be set again
	}
	c.before = nil
}

func (c *Context) end() {
	c.giveBack()
	if c.stop != nil {
		c.stop()
	}
}

// exchange sets what a signal does and tells what it did before.
func exchange(s os.Signal, set, before *action) error {
	number, _ := s.(unix.Signal)
	const maskSize = 8
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(before)), maskSize, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
