package lan

import "time"

// Reading is what two clocks of a host say at one moment.
type Reading struct {
	Boot time.Duration // CLOCK_BOOTTIME
	Real time.Duration // CLOCK_REALTIME
}

// instant is a moment of a clock.
type instant struct {
	boot  time.Duration // by CLOCK_BOOTTIME alone
	total time.Duration // by the clock that has advanced more, from one reading to the next
}

// since returns the time that has passed since an earlier moment, at least.
func (i instant) since(earlier instant) time.Duration { return i.total - earlier.total }

// clock adds up the time that passes from one reading to the next, by the clock that says more.
//
// CLOCK_BOOTTIME goes on while the host is suspended, which CLOCK_MONOTONIC does not. Neither goes on while a hypervisor has
// stopped a virtual machine; the clock of the date does, as soon as it is set again. A date that is set back does not make
// the time shorter than CLOCK_BOOTTIME says. Too long a time only ends in a request to etcd, too short a one in two
// containers with one address.
type clock struct {
	isStarted bool
	last      Reading
	now       instant
}

// at returns the moment of a reading.
func (c *clock) at(r Reading) instant {
	if c.isStarted {
		boot := max(0, r.Boot-c.last.Boot)
		c.now.boot += boot
		c.now.total += max(boot, r.Real-c.last.Real)
	}
	c.isStarted, c.last = true, r
	return c.now
}
