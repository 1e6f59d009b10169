package lan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Errors of a Registry.
var (
	// ErrUninitialized says that etcd has no configuration of the network.
	ErrUninitialized = errors.New("the network is not initialized")
	// ErrOtherHost says that another host, or another start of the program on this one, has registered with the name of this host.
	ErrOtherHost = errors.New("another host has the name or the machine-id of this host")
	// ErrUnregistered says that the lease of this host has ended, or patchbay-lan forget has revoked it.
	ErrUnregistered = errors.New("etcd has no registration of this host any more")
)

// ErrFull is the error of a host that finds no free block.
var ErrFull = errors.New("no block of the pool is free; patchbay-lan ls lists who has them")

// Registry is etcd, as one host uses it for one network. A method may fail although etcd has done what it asks for; the host
// then finds out with the next Confirm.
type Registry interface {
	// Confirm renews the lease of the host, registers the host with a new lease if there is none, and returns all keys.
	// The first call of a program registers it: from then on no request of an earlier program of this host is carried out.
	// Errors wrap ErrUninitialized or ErrOtherHost, or are those of the connection.
	Confirm(ctx context.Context) (Snapshot, time.Duration, error)
	// Claim creates the key of a block, if it does not exist, the block's last claim has the revision used, and the host is
	// registered. If not, it returns false, the keys of all claimed blocks without their owners, and the last claim of this one.
	Claim(ctx context.Context, block netip.Prefix, value Owner, used int64) (bool, Snapshot, error)
	// Mark changes the state of a block of this host; false if it is no longer this host's.
	Mark(ctx context.Context, block netip.Prefix, value Owner) (bool, error)
	// Delete deletes the key of a block of this host, if it is as this host has last seen it.
	Delete(ctx context.Context, block netip.Prefix) error
}

// Answer is the reply of a host of the LAN to a probe.
type Answer struct {
	Addr netip.Addr
	MAC  net.HardwareAddr
}

// Host is the host that the program runs on.
type Host interface {
	Now() Reading
	// Write writes the network configuration with these blocks, completely or not at all.
	Write(c Config, blocks []netip.Prefix) error
	// Remove removes the network configuration, if it exists.
	Remove() error
	// Used returns the addresses that containers of this host have.
	Used() ([]netip.Addr, error)
	// Probe asks the LAN which of some addresses a host has.
	Probe(ctx context.Context, addrs []netip.Addr) ([]Answer, error)
}

// Options are what a Runner works with.
type Options struct {
	Network  string
	Self     Owner // Time and State are not used
	Registry Registry
	Host     Host
	Random   func(n int) int  // returns a number from 0 to n-1
	Time     func() time.Time // the date, for the keys
}

// Times after a failure, and how often one step tries to claim a block.
const (
	retryTime  = 5 * time.Second
	fullTime   = time.Minute
	claimTries = 32
)

// Runner keeps the blocks of one host.
type Runner struct {
	Options
	clock    clock
	node     *node // nil until the first Confirm
	snapshot Snapshot
	date     time.Time // of the last confirmation

	isWritten bool           // the network configuration on disk has these blocks
	onDisk    []netip.Prefix // nil: it does not exist, or may be another
	isRemoved bool

	isStale  bool // the snapshot
	paused   bool // until retryAt
	retryAt  instant
	failures map[string]string // by subject: what failed last
	free     int
	used     []netip.Addr
}

// NewRunner returns a Runner. Start must be called before Step.
func NewRunner(o Options) *Runner { return &Runner{Options: o, failures: map[string]string{}} }

// Start removes the network configuration of an earlier start: nothing is known yet about its blocks.
func (r *Runner) Start() error {
	err := r.Host.Remove()
	r.isRemoved = err == nil
	return r.note("remove", err)
}

// Stop removes the network configuration, because nobody renews the lease any more. Running containers keep their addresses.
func (r *Runner) Stop() error { return r.Start() }

// Step does what is due: first the network configuration, then one request to etcd or one round of probes. It returns whether
// something more may be due at once; otherwise it is called again after Interval.
func (r *Runner) Step(ctx context.Context) (again bool) {
	used, err := r.Host.Used()
	if r.note("used", err) == nil {
		r.used = used
	}
	if r.node == nil {
		r.removeConfig()
		return r.confirm(ctx)
	}
	now := r.now()
	p := r.node.decide(now, r.used, err == nil)
	r.free = p.free
	if p.doubt && r.confirm(ctx) {
		return true
	}
	r.put(now, p.ranges)
	if r.paused && now.since(r.retryAt) < 0 {
		return false
	}
	switch {
	case p.confirm || r.isStale:
		return r.confirm(ctx)
	case len(p.delete) > 0:
		return r.remove(ctx, p.delete[0])
	case len(p.probe) > 0:
		return r.probe(ctx, p.probe[0])
	case p.claim:
		return r.claim(ctx)
	}
	return false
}

func (r *Runner) now() instant { return r.clock.at(r.Host.Now()) }

// put makes the network configuration on disk have these blocks.
func (r *Runner) put(now instant, ranges []netip.Prefix) {
	if len(ranges) == 0 {
		r.removeConfig()
		return
	}
	if r.isWritten && slices.Equal(ranges, r.onDisk) {
		r.node.written(now, ranges)
		return
	}
	err := r.note("write", r.Host.Write(r.node.config, ranges))
	if err == nil {
		r.isWritten, r.isRemoved, r.onDisk = true, false, ranges
		r.node.written(now, ranges)
		return
	}
	// The old file stays, unless it has a block that is no longer this host's.
	isLost := func(p netip.Prefix) bool { return r.node.blocks[p] == nil }
	if !r.isRemoved && (!r.isWritten || slices.ContainsFunc(r.onDisk, isLost)) {
		r.removeConfig()
	}
}

func (r *Runner) removeConfig() {
	if r.isRemoved {
		return
	}
	if r.note("remove", r.Host.Remove()) == nil {
		r.isRemoved, r.isWritten, r.onDisk = true, false, nil
	}
	if r.node != nil {
		r.node.written(r.now(), r.onDisk)
	}
}

// confirm renews the lease. It returns true if etcd has confirmed the blocks.
func (r *Runner) confirm(ctx context.Context) bool {
	at := r.now()
	if r.paused && at.since(r.retryAt) < 0 {
		return false
	}
	s, ttl, err := r.Registry.Confirm(ctx)
	if err == nil {
		err = r.check(s)
	}
	if r.note("confirm", err) != nil {
		r.refused(err)
		return false
	}
	r.paused, r.isStale, r.snapshot = false, false, s
	for _, subject := range []string{"claim", "mark", "delete"} { // what came of them is known now
		delete(r.failures, subject)
	}
	if r.node == nil {
		r.node = newNode(*s.Config, r.Self)
	}
	r.node.confirm(at, ttl, s)
	r.date = r.Time().UTC().Truncate(time.Second)
	return true
}

// check compares what etcd has with what this host began with.
func (r *Runner) check(s Snapshot) error {
	switch why := s.Conflict(r.Self); {
	case s.Config == nil:
		return ErrUninitialized
	case why != "":
		return fmt.Errorf("%w: %s", ErrOtherHost, why)
	case r.node != nil && string(s.Config.Encode()) != string(r.node.config.Encode()):
		return fmt.Errorf("%w: it was changed in etcd; start this program again when no container has an address of the old one", ErrConfig)
	}
	return nil
}

// refused pauses after an error; the next request then is Confirm, because etcd may have done what it did not answer. An error that says that the blocks are not this host's fences at once.
func (r *Runner) refused(err error) {
	r.pause(retryTime)
	r.isStale = true
	if r.node == nil || !errors.Is(err, ErrOtherHost) && !errors.Is(err, ErrConfig) && !errors.Is(err, ErrUninitialized) && !errors.Is(err, ErrUnregistered) {
		return
	}
	r.node.fence()
	r.removeConfig()
}

func (r *Runner) pause(d time.Duration) {
	r.paused, r.retryAt = true, r.now()
	r.retryAt.total += d
}

// claim claims one block. etcd answers a claim that comes too late with the claimed blocks, so a second attempt needs no list.
func (r *Runner) claim(ctx context.Context) bool {
	for range claimTries {
		block, ok := r.snapshot.Choose(r.Self, r.Random)
		if !ok {
			r.pause(fullTime)
			r.isStale = true
			_ = r.note("full", ErrFull)
			return false
		}
		value, used := r.snapshot.Claim(r.stamped(Usable), block)
		claimed, newer, err := r.Registry.Claim(ctx, block, value, used)
		if r.note("claim", err) != nil {
			r.refused(err)
			return false
		}
		delete(r.failures, "full")
		if claimed {
			r.snapshot.Blocks[block] = Held{Owner: value}
			r.node.add(block, value)
			return true
		}
		r.snapshot.refresh(newer)
	}
	return false
}

// remove deletes the key of a block that no container of this host has an address of.
func (r *Runner) remove(ctx context.Context, block netip.Prefix) bool {
	if r.note("delete", r.Registry.Delete(ctx, block)) != nil {
		r.pause(retryTime)
		return false
	}
	delete(r.node.blocks, block)
	r.isStale = true
	return true
}

// probe asks the LAN for the addresses of a block that no container of this host has, and notes the result in etcd.
func (r *Runner) probe(ctx context.Context, block netip.Prefix) bool {
	var addrs []netip.Addr
	for addr := range r.node.config.Addresses(block) {
		if !slices.Contains(r.used, addr) {
			addrs = append(addrs, addr)
		}
	}
	at := r.now()
	answers, err := r.Host.Probe(ctx, addrs)
	if r.note("probe", err) != nil {
		r.pause(retryTime)
		return false
	}
	value := r.stamped(Usable)
	if len(answers) > 0 {
		value.State = Quarantine
	}
	isOurs, err := r.Registry.Mark(ctx, block, value)
	if r.note("mark", err) != nil {
		r.refused(err)
		return false
	}
	if !isOurs {
		delete(r.node.blocks, block)
		r.isStale = true
		return true
	}
	r.node.probed(block, at, answers)
	return true
}

// stamped returns the value of a key that is written now.
func (r *Runner) stamped(s State) Owner {
	o := r.Self
	o.Time, o.State = r.Time().UTC().Truncate(time.Second), s
	return o
}

// note keeps what failed last about a subject, for the status, and returns the error.
func (r *Runner) note(subject string, err error) error {
	delete(r.failures, subject)
	if err != nil {
		r.failures[subject] = err.Error()
	}
	return err
}
