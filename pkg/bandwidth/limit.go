package bandwidth

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Limit limits the traffic of a container at its host interface, which the container cannot change. It returns an error that wraps
// ErrNotOwned if the interface has a root qdisc of another program, or another program has the name of the device. On an error, part of
// it may exist: Remove removes it.
func Limit(i Interface, s Spec) error {
	c, err := open()
	if err != nil {
		return err
	}
	defer c.Close()
	return c.limit(i, s)
}

// limit wraps ErrUnsupported around what the kernel returns for a kind that it does not know and finds no module for: ENOENT for qdiscs,
// filters and actions, EOPNOTSUPP for interfaces.
func (c conn) limit(i Interface, s Spec) error {
	err := c.limitBoth(i, s)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		err = fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return err
}

func (c conn) limitBoth(i Interface, s Spec) error {
	if err := s.Validate(i.MTU); err != nil {
		return err
	}
	if err := c.limitIngress(i, s); err != nil {
		return fmt.Errorf("limit what the container behind %s receives: %w", i.Name, err)
	}
	if err := c.limitEgress(i, s); err != nil {
		return fmt.Errorf("limit what the container behind %s sends: %w", i.Name, err)
	}
	return nil
}

// limitIngress limits what the host sends to the container: the transmit queue of the host interface.
func (c conn) limitIngress(i Interface, s Spec) error {
	if s.Ingress.Rate == 0 {
		return nil
	}
	b := s.Ingress.bucket(i.MTU)
	add := c.addTBF
	if s.hasSubnets() {
		add = c.addHTB
	}
	err := add(i.Index, b)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("the root qdisc of %s: %w", i.Name, ErrNotOwned)
	}
	if err != nil {
		return fmt.Errorf("qdisc: %w", err)
	}
	return c.addFilters(i.Index, rootHandle, s.ingressFilters())
}

// limitEgress limits what arrives at the host interface. Packets that arrive have no queue, so a filter redirects them to an ifb device,
// from whose queue they return to where the filter took them: the bridge then sees them arrive at the host interface.
func (c conn) limitEgress(i Interface, s Spec) error {
	if s.Egress.Rate == 0 {
		return nil
	}
	index, err := c.ensureDevice(s, i.MTU)
	if err != nil {
		return err
	}
	if err := c.addTBF(index, s.Egress.bucket(i.MTU)); err != nil {
		return fmt.Errorf("qdisc of %s: %w", s.Device, err)
	}
	if err := c.addClsact(i.Index); err != nil {
		return fmt.Errorf("qdisc clsact: %w", err)
	}
	return c.addFilters(i.Index, arrives, s.egressFilters(index))
}

func (c conn) addFilters(index int, parent uint32, filters []filter) error {
	for _, f := range filters {
		if err := c.addFilter(index, parent, f); err != nil {
			return fmt.Errorf("filter: %w", err)
		}
	}
	return nil
}

func (s Spec) hasSubnets() bool { return len(s.Shaped)+len(s.Unshaped) > 0 }

// ingressFilters returns the filters of the qdisc HTB; TBF needs none. The handle of HTB itself means its queue without a limit.
func (s Spec) ingressFilters() []filter {
	if !s.hasSubnets() {
		return nil
	}
	return s.filtersFor(source, func(f *filter) { f.class = shapedClass }, func(f *filter) { f.class = rootHandle })
}

// egressFilters returns the filters that redirect to the ifb device. A filter with a class and no action lets the packet pass.
func (s Spec) egressFilters(device int) []filter {
	return s.filtersFor(destination, func(f *filter) { f.redirect = device }, func(f *filter) { f.class = shapedClass })
}

// Check compares the kernel with the limits and returns the differences, one sentence each.
func Check(i Interface, s Spec) (differences []string, err error) {
	c, err := open()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	in, err := c.checkIngress(i, s)
	if err != nil {
		return nil, fmt.Errorf("read the limits of %s: %w", i.Name, err)
	}
	out, err := c.checkEgress(i, s)
	if err != nil {
		return nil, fmt.Errorf("read the limits of %s: %w", i.Name, err)
	}
	return append(in, out...), nil
}

func (c conn) checkIngress(i Interface, s Spec) ([]string, error) {
	if s.Ingress.Rate == 0 {
		return nil, nil
	}
	read := c.readTBF
	if s.hasSubnets() {
		read = c.readHTB
	}
	b, ok, err := read(i.Index)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return []string{fmt.Sprintf("what the container receives is not limited: %s has lost its qdisc", i.Name)}, nil
	case !b.same(s.Ingress.bucket(i.MTU)):
		return []string{fmt.Sprintf("what the container receives is limited to %s, not to %s", b, s.Ingress.bucket(i.MTU))}, nil
	}
	has, err := c.readFilters(i.Index, rootHandle)
	if err == nil && !sameFilters(has, s.ingressFilters()) {
		return []string{fmt.Sprintf("what the container receives is limited for other subnets: the filters of %s have changed", i.Name)}, nil
	}
	return nil, err
}

func (c conn) checkEgress(i Interface, s Spec) ([]string, error) {
	if s.Egress.Rate == 0 {
		return nil, nil
	}
	d, ok, err := c.device(s.Device)
	if err != nil {
		return nil, err
	}
	if !ok || !d.ours(s.Mark) || !d.up {
		return []string{fmt.Sprintf("what the container sends is not limited: there is no ifb device %s that is up", s.Device)}, nil
	}
	b, ok, err := c.readTBF(d.index)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return []string{fmt.Sprintf("what the container sends is not limited: %s has lost its qdisc", s.Device)}, nil
	case !b.same(s.Egress.bucket(i.MTU)):
		return []string{fmt.Sprintf("what the container sends is limited to %s, not to %s", b, s.Egress.bucket(i.MTU))}, nil
	}
	has, err := c.readFilters(i.Index, arrives)
	if err == nil && !sameFilters(has, s.egressFilters(d.index)) {
		return []string{fmt.Sprintf("what the container sends is not limited as configured: %s has lost filters", i.Name)}, nil
	}
	return nil, err
}

// same compares with a bucket that was read from the kernel. The kernel has the time of the burst, rounded to ticks.
func (b bucket) same(want bucket) bool {
	off := max(b.burst, want.burst) - min(b.burst, want.burst)
	rounded := float64(want.burst)/1000 + 8 + 2*nanosecondsPerTick*float64(want.rate)/1e9
	return b.rate == want.rate && b.queue == want.queue && float64(off) <= rounded
}

func (b bucket) String() string {
	return fmt.Sprintf("%d bit/s with a burst of %d bytes and a queue of %d", 8*b.rate, b.burst, b.queue)
}

// Remove removes the limits of a host interface that stays, and the ifb device. It keeps what other programs added to the interface. An
// interface that no longer exists is no error. An error wraps ErrNotOwned only if everything else was removed, and another program has
// the name of the device.
func Remove(i Interface, s Spec) error {
	c, err := open()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.remove(i, s); err != nil {
		return fmt.Errorf("remove the limits of %s: %w", i.Name, err)
	}
	return nil
}

// remove deletes the filter before the device: a packet that is redirected to a device that no longer exists is lost.
func (c conn) remove(i Interface, s Spec) (err error) {
	if s.Ingress.Rate != 0 {
		err = unlessGone(c.deleteRoot(i.Index))
	}
	if s.Egress.Rate == 0 {
		return err
	}
	err = errors.Join(err, unlessGone(c.deleteFilters(i.Index, arrives)), unlessGone(c.deleteClsact(i.Index)))
	if failed := c.removeDevice(s.Device, s.Mark); err == nil || !errors.Is(failed, ErrNotOwned) {
		err = errors.Join(err, failed)
	}
	return err
}

// unlessGone returns err, or nil if the interface was deleted meanwhile: its qdiscs and filters are gone with it.
func unlessGone(err error) error {
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// Restore makes the limits of a host interface as they were, and reports whether anything was missing.
func Restore(i Interface, s Spec) (restored bool, err error) {
	differences, err := Check(i, s)
	if err != nil || len(differences) == 0 {
		return false, err
	}
	c, err := open()
	if err != nil {
		return false, err
	}
	defer c.Close()
	if err := c.remove(i, s); err != nil {
		return false, err
	}
	err = c.limit(i, s)
	return err == nil, err
}
