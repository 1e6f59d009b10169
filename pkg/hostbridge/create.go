package hostbridge

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/uplink"
)

// Options says which bridge to create, and how it is decided on.
type Options struct {
	Bridge, Uplink string
	Timeout        time.Duration // for the decision
	Yes            bool          // keep the bridge if the gateways answer; refused if there are some, and none answers before
	Force          bool          // also if a DHCP client renews an address of the uplink

	Looked func(*uplink.State) error // called before the first change; an error ends Create. May be nil
	Moved  func(Result) <-chan bool  // called when everything is moved and the gateways answer; the channel has the answer of a user, and may be nil
}

// Result is what Create did.
type Result struct {
	Addresses, Routes []string
	Gateways          []netip.Addr // that answer through the bridge
	Silent            []netip.Addr // that did not answer before, and were not checked
}

// ErrNotKept reports that the bridge was removed and the uplink is as before.
var ErrNotKept = errors.New("not kept")

// ErrSilent reports gateways of which none answers before the first change: with Options.Yes nothing would prove that the
// host is still reached.
var ErrSilent = errors.New("no gateway answers")

const (
	lookTimeout   = 2 * time.Second  // for a gateway to answer before the first change
	answerTimeout = 10 * time.Second // and through the bridge
)

// Plan returns what Create would move. It changes nothing; errors are those of Kernel.Check.
func Plan(o Options) (*uplink.State, error) {
	k, err := uplink.Open()
	if err != nil {
		return nil, err
	}
	defer k.Close()
	if err := k.Check(o.Uplink, o.Bridge, o.Force); err != nil {
		return nil, err
	}
	return k.Capture(o.Uplink, o.Bridge)
}

// Create creates the bridge, moves the state of the uplink to it, and waits for the decision: a call of Confirm, an
// answer, or Options.Yes. Without one, after an error, or when the context ends, the uplink is as before and the
// error wraps ErrNotKept or says why. Other errors are ErrBusy, ErrSilent, and those of Kernel.Check and Kernel.CheckSettled.
func Create(ctx context.Context, o Options) error {
	k, err := uplink.Open()
	if err != nil {
		return err
	}
	defer k.Close()
	d, err := openDir(true)
	if err != nil {
		return err
	}
	defer d.close()
	lock, err := d.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := d.clear(k); err != nil {
		return err
	}
	s, err := look(k, o)
	if err != nil {
		return err
	}
	if o.Looked != nil {
		if err := o.Looked(s); err != nil {
			return err
		}
	}
	c := &creation{dir: d, kernel: k, state: s}
	if err := c.findGateways(o); err != nil {
		return err
	}
	if err := d.save(s, setup, o.Timeout); err != nil {
		return err
	}
	if c.other, err = startWatchdog(o.Bridge, o.Timeout, lock); err != nil {
		return errors.Join(err, d.forget(o.Bridge, setup))
	}
	defer c.other.stop()
	return c.run(ctx, o)
}

// look returns the state of an uplink that can become the port of a bridge now.
func look(k *uplink.Kernel, o Options) (*uplink.State, error) {
	if err := k.Check(o.Uplink, o.Bridge, o.Force); err != nil {
		return nil, err
	}
	if err := k.CheckSettled(o.Uplink); err != nil {
		return nil, err
	}
	return k.Capture(o.Uplink, o.Bridge)
}

// clear removes the file of a call that was killed before it changed something. If it left a bridge, the watchdog was
// killed too, and the administrator decides.
func (d *dir) clear(k *uplink.Kernel) error {
	left, err := d.undecided()
	if err != nil {
		return err
	}
	for bridge := range left {
		if k.Made(bridge) {
			return unfinished(bridge)
		}
		if err := d.forget(bridge, stages()...); err != nil {
			return err
		}
	}
	return nil
}

// creation is a running Create.
type creation struct {
	dir      *dir
	kernel   *uplink.Kernel
	state    *uplink.State
	gateways []netip.Addr // that answered before
	silent   []netip.Addr // that did not
	other    *watchdog
}

// findGateways finds out which gateways answer. Where there are some, and none does, Options.Yes is refused.
func (c *creation) findGateways(o Options) (err error) {
	if c.gateways, err = c.kernel.Gateways(c.state, lookTimeout); err != nil {
		return err
	}
	c.silent = slices.DeleteFunc(c.state.Gateways(), func(a netip.Addr) bool { return slices.Contains(c.gateways, a) })
	if o.Yes && len(c.gateways) == 0 && len(c.silent) > 0 {
		return fmt.Errorf("bridge %s: %w (%s has routes via %v), so --yes cannot prove that this host is still reached; leave out --yes and confirm the bridge yourself",
			o.Bridge, ErrSilent, o.Uplink, c.silent)
	}
	return nil
}

// run moves the state and waits for the decision.
func (c *creation) run(ctx context.Context, o Options) error {
	err := c.kernel.Move(c.state)
	if err == nil {
		err = c.kernel.Answer(c.state, c.gateways, answerTimeout)
	}
	if err == nil && c.other.gone() {
		err = errors.New("the watchdog was killed")
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = c.dir.rename(o.Bridge+setup, o.Bridge+wait)
	}
	if err != nil {
		return c.goBack(err)
	}
	c.other.say(waiting)
	result := Result{Gateways: c.gateways, Silent: c.silent}
	result.Addresses, result.Routes = c.state.Summary()
	answer := o.Moved(result)
	if o.Yes {
		return c.keep()
	}
	return c.decide(ctx, o, answer)
}

// keep keeps the bridge.
func (c *creation) keep() error {
	if err := c.dir.remove(c.state.Bridge + wait); err != nil {
		return c.goBack(err)
	}
	return nil
}

// goBack restores the uplink, unless the watchdog has begun to: then it waits, and continues if the watchdog is killed. It
// returns the cause with what came of it.
func (c *creation) goBack(cause error) error {
	name := c.state.Bridge
	if !c.dir.claim(name) {
		<-c.other.ended
		if !c.dir.exists(name + undo) {
			return c.without(cause, nil)
		}
	}
	return c.without(cause, c.dir.restore(c.kernel, c.state))
}

func (c *creation) without(cause, failed error) error {
	if failed != nil {
		return errors.Join(cause, failed)
	}
	return fmt.Errorf("bridge %s %w, %s is as before: %w", c.state.Bridge, ErrNotKept, c.state.Uplink, cause)
}
