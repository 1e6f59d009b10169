package lan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"time"
)

var errNoAnswer = errors.New("etcd does not answer")

// store is a model of etcd: keys with revisions, on leases that end.
type store struct {
	now      func() time.Duration
	config   Config
	revision int64
	nodes    map[string]Held
	blocks   map[netip.Prefix]Held
	used     map[netip.Prefix]Held
	leases   map[int64]time.Duration // when each ends
	lastID   int64
	ttl      time.Duration
}

func newStore(c Config, ttl time.Duration, now func() time.Duration) *store {
	return &store{
		now: now, config: c, ttl: ttl, nodes: map[string]Held{}, blocks: map[netip.Prefix]Held{}, used: map[netip.Prefix]Held{}, leases: map[int64]time.Duration{},
	}
}

// expire deletes the keys of leases that have ended.
func (s *store) expire() {
	for id, end := range s.leases {
		if end <= s.now() {
			s.revoke(id)
		}
	}
}

func (s *store) revoke(id int64) {
	delete(s.leases, id)
	maps.DeleteFunc(s.nodes, func(_ string, h Held) bool { return h.Lease == id })
	maps.DeleteFunc(s.blocks, func(_ netip.Prefix, h Held) bool { return h.Lease == id })
}

func (s *store) snapshot() Snapshot {
	c := s.config
	return Snapshot{Config: &c, ConfigRevision: 1, Nodes: maps.Clone(s.nodes), Blocks: maps.Clone(s.blocks), Used: maps.Clone(s.used)}
}

func (s *store) put(value Owner, lease int64) Held {
	s.revision++
	return Held{Owner: value, Revision: s.revision, Lease: lease}
}

func (s *store) keepLease(id int64) bool {
	if _, ok := s.leases[id]; ok {
		s.leases[id] = s.now() + s.ttl
		return true
	}
	return false
}

// session is one start of the program of one host: a Registry with the conditions of package registry.
type session struct {
	store      *store
	self       Owner
	lease      int64
	registered int64 // revision of the host's key; 0: not registered by this start
	seen       map[netip.Prefix]int64
	network    func(request func()) bool // carries out a request, now, later or never; true if the answer arrives
}

func (s *session) see(snap Snapshot) Snapshot {
	s.seen = map[netip.Prefix]int64{}
	for p, h := range snap.Blocks {
		s.seen[p] = h.Revision
	}
	return snap
}

// over carries a request to the store and back.
func over[T any](s *session, request func() T) (T, error) {
	var answer, none T
	if !s.network(func() { s.store.expire(); answer = request() }) {
		return none, errNoAnswer
	}
	return answer, nil
}

type confirmation struct {
	snapshot          Snapshot
	lease, registered int64
	err               error
}

func (s *session) Confirm(context.Context) (Snapshot, time.Duration, error) {
	lease, registered, self := s.lease, s.registered, s.self
	before, err := over(s, func() Held { return s.store.nodes[self.Node] })
	if err != nil {
		return Snapshot{}, 0, err
	}
	switch isOurs := before.SameHost(self); {
	case before.Revision != 0 && !isOurs, isOurs && registered != 0 && before.Revision != registered && before.BootID != self.BootID:
		return Snapshot{}, 0, ErrOtherHost
	}
	answer, err := over(s, func() confirmation { return s.store.confirm(self, lease, registered, before.Revision) })
	if err == nil {
		err = answer.err
	}
	if err != nil {
		return Snapshot{}, 0, err
	}
	s.lease, s.registered = answer.lease, answer.registered
	return s.see(answer.snapshot), s.store.ttl, nil
}

// confirm renews the lease of a host, or registers it, if its key still has the revision that the host has seen.
func (s *store) confirm(self Owner, lease, registered, seen int64) confirmation {
	n := s.nodes[self.Node]
	switch {
	case n.Revision != seen:
		return confirmation{err: errNoAnswer}
	case n.Revision != 0 && n.Revision == registered && s.keepLease(lease):
		return confirmation{s.snapshot(), lease, registered, nil}
	case n.Revision != 0 && s.keepLease(n.Lease):
		lease = n.Lease
	default:
		s.lastID++
		lease = s.lastID
		s.leases[lease] = s.now() + s.ttl
	}
	n = s.put(self, lease)
	s.nodes[self.Node] = n
	return confirmation{s.snapshot(), lease, n.Revision, nil}
}

type claimAnswer struct {
	claimed  bool
	snapshot Snapshot
	revision int64
}

func (s *session) Claim(_ context.Context, block netip.Prefix, value Owner, used int64) (bool, Snapshot, error) {
	lease, registered, st := s.lease, s.registered, s.store
	a, err := over(s, func() claimAnswer {
		_, taken := st.blocks[block]
		if taken || st.used[block].Revision != used || st.nodes[value.Node].Revision != registered {
			return claimAnswer{snapshot: st.snapshot()}
		}
		h := st.put(value, lease)
		st.blocks[block], st.used[block] = h, h
		return claimAnswer{claimed: true, revision: h.Revision}
	})
	switch {
	case err != nil:
		return false, Snapshot{}, err
	case a.claimed:
		s.seen[block] = a.revision
		return true, Snapshot{}, nil
	case a.snapshot.Nodes[value.Node].Revision != registered:
		return false, Snapshot{}, ErrUnregistered
	}
	newer := Snapshot{Blocks: a.snapshot.Blocks, Used: map[netip.Prefix]Held{}}
	for p, h := range newer.Blocks {
		newer.Blocks[p] = Held{Revision: h.Revision}
	}
	if h, ok := a.snapshot.Used[block]; ok {
		newer.Used[block] = h
	}
	return false, newer, nil
}

func (s *session) Mark(_ context.Context, block netip.Prefix, value Owner) (bool, error) {
	registered, seen, lease, st := s.registered, s.seen[block], s.lease, s.store
	revision, err := over(s, func() int64 {
		if st.blocks[block].Revision != seen || st.blocks[block].Lease != lease || st.nodes[value.Node].Revision != registered {
			return 0
		}
		st.blocks[block] = st.put(value, lease)
		return st.revision
	})
	if err == nil && revision != 0 {
		s.seen[block] = revision
	}
	return revision != 0, err
}

func (s *session) Delete(_ context.Context, block netip.Prefix) error {
	registered, seen, lease, st, self := s.registered, s.seen[block], s.lease, s.store, s.self
	_, err := over(s, func() bool {
		if st.blocks[block].Revision == seen && st.blocks[block].Lease == lease && st.nodes[self.Node].Revision == registered {
			delete(st.blocks, block)
		}
		return true
	})
	return err
}

// machine is a model of a host: its clocks, its containers, its network configuration, and its program.
type machine struct {
	world      *world
	self       Owner
	containers map[netip.Addr]bool
	overslept  map[netip.Addr]bool // of containers
	onDisk     []netip.Prefix      // nil: no network configuration
	runner     *Runner             // nil: the program does not run
	startsAt   time.Duration       // of the program

	isFull, isUnreadable              bool
	isOff, isSuspended, isPartitioned bool
	wakesAt, joinsAt                  time.Duration
	hasStopped                        bool // suspended by the hypervisor: CLOCK_BOOTTIME does not go on

	boot, real time.Duration // the clocks
	rate       float64       // of the clocks
}

func (m *machine) Now() Reading { return Reading{m.boot, m.real} }

func (m *machine) Write(_ Config, blocks []netip.Prefix) error {
	if m.isFull || !m.world.quiet && m.world.random(20) == 0 {
		return errors.New("no space left on device")
	}
	m.onDisk = append([]netip.Prefix{}, blocks...)
	return nil
}

func (m *machine) Remove() error {
	m.onDisk = nil
	return nil
}

func (m *machine) Used() ([]netip.Addr, error) {
	if m.isUnreadable {
		return nil, errors.New("permission denied")
	}
	var all []netip.Addr
	for addr := range m.containers {
		all = append(all, addr)
	}
	return all, nil
}

func (m *machine) Probe(_ context.Context, addrs []netip.Addr) (answers []Answer, _ error) {
	for _, addr := range addrs {
		for _, other := range m.world.machines {
			if other.isRunning() && other.containers[addr] {
				answers = append(answers, Answer{addr, net.HardwareAddr{2, 0, 0, 0, 0, 1}})
			}
		}
	}
	return answers, nil
}

func (m *machine) isRunning() bool { return !m.isOff && !m.isSuspended }

// start starts the program, as systemd does.
func (m *machine) start() {
	s := &session{store: m.world.store, self: m.self, seen: map[netip.Prefix]int64{}}
	s.network = func(request func()) bool { return m.world.carry(m, request) }
	m.runner = NewRunner(Options{
		Network: "lan", Self: m.self, Registry: s, Host: m, Random: m.world.random,
		Time: func() time.Time { return time.Unix(0, int64(m.real)) },
	})
	if err := m.runner.Start(); err != nil {
		m.world.fail("%s: start: %v", m.self.Node, err)
	}
}

// run lets the program do what is due.
func (m *machine) run() {
	if !m.isRunning() {
		return
	}
	if m.runner == nil {
		if m.world.now < m.startsAt {
			return
		}
		m.start()
	}
	for range 100 {
		if !m.runner.Step(context.Background()) {
			return
		}
	}
	m.world.fail("%s: the program does not come to rest: %s", m.self.Node, fmt.Sprint(m.runner.Status()))
}
