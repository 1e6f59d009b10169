package lan

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Times and limits of a host.
const (
	Interval = time.Second // between two looks at the addresses in use

	lowWater      = 16               // fewer free addresses: claim one more block
	highWater     = 2 * lowWater     // a block is released only if so many are free without it
	MaxBlocks     = 20               // of a host: ADD takes as long with 20 ranges as with one
	maxQuarantine = 4                // more: something answers for every address
	emptyTime     = 10 * time.Minute // between the two observations of an empty block, and until its key is deleted
	probeAgain    = time.Hour        // for a block in quarantine

	renewals   = 24 // of the lease, in its time
	fenceParts = 2  // the network configuration is removed after 1/fenceParts of the lease's time
)

// phase is what a host does with a block of its own.
type phase int

const (
	probing    phase = iota // not used yet
	active                  // in the network configuration
	draining                // no longer in it, because it is empty
	deleting                // its key may be deleted already
	quarantine              // not used: a host of the LAN has an address of it
)

// block is a block of this host.
type block struct {
	phase    phase
	isEmpty  bool    // since emptyAt
	emptyAt  instant // the first observation
	isOut    bool    // draining: the network configuration on disk is without it, since outAt
	outAt    instant
	isProbed bool // at probedAt
	probedAt instant
	answers  []Answer // of the last probe
}

// node is what a host knows about its blocks. It decides, and does nothing.
type node struct {
	config Config
	self   Owner

	isConfirmed bool // by etcd, since the start and since the last fence
	confirmedAt instant
	ttl         time.Duration // of the lease

	blocks map[netip.Prefix]*block
	lost   map[netip.Prefix]Owner // blocks in which containers of this host still have addresses; the owner has no name if etcd has none
}

func newNode(c Config, self Owner) *node {
	return &node{config: c, self: self, blocks: map[netip.Prefix]*block{}, lost: map[netip.Prefix]Owner{}}
}

// fence makes the host's blocks unusable until etcd confirms them.
func (n *node) fence() { n.isConfirmed = false }

// confirm takes over what etcd has: the host's blocks are those of the snapshot that are on the host's lease. at is a moment
// before the request that renewed the lease.
func (n *node) confirm(at instant, ttl time.Duration, s Snapshot) {
	n.isConfirmed, n.confirmedAt, n.ttl = true, at, ttl
	lease := s.Nodes[n.self.Node].Lease
	for p := range n.blocks {
		if held := s.Blocks[p]; held.SameHost(n.self) && held.Lease == lease {
			continue
		}
		if n.blocks[p].phase != deleting {
			n.lost[p] = s.Blocks[p].Owner
		}
		delete(n.blocks, p)
	}
	for p, held := range s.Blocks {
		if held.SameHost(n.self) && held.Lease == lease && n.config.Has(p) && n.blocks[p] == nil {
			n.add(p, held.Owner)
		}
	}
}

// add adds a block that etcd says is this host's.
func (n *node) add(p netip.Prefix, o Owner) {
	b := &block{phase: active}
	switch {
	case o.State == Quarantine:
		b.phase = quarantine
	case o.State == Unprobed || o.BootID != n.self.BootID:
		b.phase = probing
	}
	n.blocks[p] = b
	delete(n.lost, p)
}

// probed takes over the answers to the probes of a block.
func (n *node) probed(p netip.Prefix, at instant, answers []Answer) {
	b := n.blocks[p]
	b.answers, b.isProbed, b.probedAt = answers, true, at
	b.phase = active
	if len(answers) > 0 {
		b.phase = quarantine
	}
}

// written notes which blocks the network configuration on disk has.
func (n *node) written(at instant, ranges []netip.Prefix) {
	for p, b := range n.blocks {
		switch isIn := slices.Contains(ranges, p); {
		case isIn:
			b.isOut = false
		case !b.isOut:
			b.isOut, b.outAt = true, at
		}
	}
}

// plan is what a host has to do.
type plan struct {
	ranges  []netip.Prefix // blocks of the network configuration, in order; none: it must not exist
	doubt   bool           // the clocks disagree: etcd is asked before the network configuration is removed
	confirm bool           // renew the lease and compare the blocks
	claim   bool           // one more block
	probe   []netip.Prefix
	delete  []netip.Prefix
	free    int // addresses
}

// decide returns what to do now, with the addresses that containers of this host have. If these are not known, every block
// counts as one in use.
func (n *node) decide(now instant, used []netip.Addr, isKnown bool) plan {
	count := n.count(used)
	for p := range n.blocks {
		if !isKnown {
			count[p] = max(count[p], 1)
		}
	}
	var p plan
	age := now.since(n.confirmedAt)
	isLate := age >= n.ttl/fenceParts
	if !n.isConfirmed || isLate {
		p.confirm = true
		p.doubt = n.isConfirmed && now.boot-n.confirmedAt.boot < n.ttl/fenceParts
		return p
	}
	p.confirm = age >= n.ttl/renewals
	n.observe(now, count)
	n.drain(now, count)
	p.free, p.claim = n.wantsMore(count)
	for _, at := range n.sorted() {
		b := n.blocks[at]
		switch {
		case b.phase == active:
			p.ranges = append(p.ranges, at)
		case b.phase == probing, b.phase == quarantine && (!b.isProbed || now.since(b.probedAt) >= probeAgain):
			p.probe = append(p.probe, at)
		case b.phase == deleting && count[at] == 0:
			p.delete = append(p.delete, at)
		}
	}
	return p
}

func (n *node) sorted() []netip.Prefix {
	return slices.SortedFunc(maps.Keys(n.blocks), netip.Prefix.Compare)
}

// count returns the number of addresses in use of each block. A lost block without any is no longer of interest.
func (n *node) count(used []netip.Addr) map[netip.Prefix]int {
	count := map[netip.Prefix]int{}
	for _, addr := range used {
		count[n.config.BlockOf(addr)]++
	}
	maps.DeleteFunc(n.lost, func(p netip.Prefix, _ Owner) bool { return count[p] == 0 })
	return count
}

// observe notes since when each block is empty. A container in a block that was to be released keeps it, but for one whose
// key may be deleted.
func (n *node) observe(now instant, count map[netip.Prefix]int) {
	for p, b := range n.blocks {
		isEmpty := count[p] == 0
		if isEmpty && !b.isEmpty {
			b.emptyAt = now
		}
		b.isEmpty = isEmpty
		switch {
		case b.phase == draining && !isEmpty:
			b.phase = active
		case b.phase == draining && b.isOut && now.since(b.outAt) >= emptyTime:
			b.phase = deleting
		}
	}
}

// drain takes a block out of the network configuration that was empty 10 minutes ago and is empty now: one at a time, and
// only if enough addresses are free without it.
func (n *node) drain(now instant, count map[netip.Prefix]int) {
	free, left := 0, 0
	for p, b := range n.blocks {
		switch b.phase {
		case draining, deleting:
			return
		case active:
			free, left = free+n.freeIn(p, count), left+1
		}
	}
	for _, p := range n.sorted() {
		b := n.blocks[p]
		if b.phase == active && b.isEmpty && now.since(b.emptyAt) >= emptyTime && left > 1 && free-n.freeIn(p, count) >= highWater {
			b.phase, b.isOut = draining, false
			return
		}
	}
}

// freeIn returns the number of addresses of a block that the next containers can get.
func (n *node) freeIn(p netip.Prefix, count map[netip.Prefix]int) int {
	all := 0
	for range n.config.Addresses(p) {
		all++
	}
	return max(0, all-count[p])
}

// wantsMore returns how many addresses are free, and whether a block is to be claimed. A block that is being released is used
// again first.
func (n *node) wantsMore(count map[netip.Prefix]int) (free int, claim bool) {
	blocks, pending, inQuarantine := 0, 0, 0
	var spare *block
	for p, b := range n.blocks {
		switch b.phase {
		case active:
			free, blocks = free+n.freeIn(p, count), blocks+1
		case probing:
			pending, blocks = pending+n.freeIn(p, count), blocks+1
		case quarantine:
			inQuarantine++
		case draining:
			spare, blocks = b, blocks+1
		case deleting:
			blocks++
		}
	}
	if free+pending >= lowWater {
		return free, false
	}
	if spare != nil {
		spare.phase = active
		return free, false
	}
	return free, blocks < MaxBlocks && inQuarantine < maxQuarantine
}
