package bandwidth

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
)

// Spec is the limits of one container.
type Spec struct {
	Ingress Rate // of what the container receives
	Egress  Rate // of what it sends

	// Shaped are the remote subnets whose traffic is limited, Unshaped those whose traffic is not; at most one of the two is set. Without
	// either all frames are limited, ARP included.
	Shaped, Unshaped []netip.Prefix

	Device string // name of the ifb device for Egress, at most 15 bytes
	Alias  string // of that device
	Mark   string // beginning of Alias; a device with another alias belongs to another program
}

// Rate is a limit for one direction.
type Rate struct {
	Rate  uint64 // bit/s; 0 for no limit
	Burst uint64 // bits that may pass at once after a pause; 0 for the default
}

// Interface is the host interface of a container.
type Interface struct {
	Name  string
	Index int
	MTU   int // bytes
}

// Sentinel errors.
var (
	ErrBurst       = errors.New("burst shorter than a packet") // no full packet would ever pass
	ErrUnsupported = errors.New("not supported by this kernel")
	ErrNotOwned    = errors.New("not created for this attachment") // an interface or a root qdisc of another program
)

const (
	// ethernetHeader is the largest header that the kernel counts in addition to the MTU: an Ethernet header with a VLAN tag.
	ethernetHeader = 18

	// longestBurst bounds a burst by the time in which the rate sends it, in milliseconds. containerd passes 2^32-1 bits with every
	// rate, which would leave the first 429 s of a rate of 10 Mbit/s unlimited. It is also the default.
	longestBurst = 100

	// shortestBurst, in bytes, is the lower bound of the default and of the bound above. TCP sends packets in pairs at least, and the
	// kernel splits a longer batch (tbf_segment) at the cost of CPU time.
	shortestBurst = 4 * 1514

	// latency is the time in milliseconds that a packet waits in the queue at most, as in the reference plugin.
	latency = 25

	// shortestQueue, in bytes, is some packets: a slow rate would otherwise have a queue of two. With 64 KiB, the largest batch that TCP
	// sends, it fills the queue of 1 Mbit/s and then loses many segments at once: pauses of 700 ms instead of 200 (BenchmarkRates).
	shortestQueue = 16 << 10

	// maxBytes keeps burst and queue below 2^32, the size of the kernel's fields.
	maxBytes = 1 << 30
)

// Validate returns an error that wraps ErrBurst if a burst cannot pass a packet of the interface. It is also called before the
// interface exists: mtu is in bytes.
func (s Spec) Validate(mtu int) error {
	for _, one := range []struct {
		key  string
		rate Rate
	}{{"ingressBurst", s.Ingress}, {"egressBurst", s.Egress}} {
		if r := one.rate; r.Rate != 0 && r.Burst != 0 && r.Burst/8 < uint64(mtu+ethernetHeader) {
			return fmt.Errorf("%s: %w: %d bits are %d bytes, a packet with MTU %d needs %d bits", one.key, ErrBurst, r.Burst, r.Burst/8, mtu, 8*(mtu+ethernetHeader))
		}
	}
	return nil
}

// bucket is a Rate in the units of the kernel, for an interface with an MTU.
type bucket struct {
	rate  uint64 // bytes per second
	burst uint32 // bytes
	queue uint32 // bytes
}

// bucket returns the parameters of the token bucket. The burst is at most what the rate sends in 100 ms, but at least a few packets.
func (r Rate) bucket(mtu int) bucket {
	b := bucket{rate: r.Rate / 8}
	most := max(within(b.rate, longestBurst), shortestBurst, uint64(mtu+ethernetHeader))
	burst := min(r.Burst/8, most)
	if burst == 0 {
		burst = most
	}
	b.burst = uint32(min(burst, maxBytes))
	b.queue = uint32(min(max(within(b.rate, latency), shortestQueue)+uint64(b.burst), 2*maxBytes))
	return b
}

// within returns the bytes that a rate sends in a number of milliseconds, without an overflow.
func within(rate, ms uint64) uint64 {
	if rate > math.MaxUint64/ms {
		return math.MaxUint64 / 1000
	}
	return rate * ms / 1000
}
