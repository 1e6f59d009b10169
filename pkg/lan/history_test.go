package lan

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var histories = flag.Int("histories", 1000, "number of random histories")

// world is some hosts on one LAN, with one etcd, at one moment of a random history.
type world struct {
	now      time.Duration
	rand     *rand.Rand
	store    *store
	machines []*machine
	late     []func() // requests that are still on their way to etcd
	log      []string
	faults   []string
	boots    int
	adds     int
	quiet    bool // no failure but those of the test
	resumed  int  // addresses that were given although a host that was suspended for longer than its lease has them
}

func (w *world) random(n int) int { return w.rand.IntN(n) }

func (w *world) chance(percent int) bool { return w.random(100) < percent }

func (w *world) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.rand.Int64N(int64(high-low)))
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%8s ", w.now.Round(time.Second))+fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	w.note("FAULT: "+format, args...)
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

const historyTTL = 24 * time.Hour

func newWorld(seed uint64) *world {
	w := &world{rand: rand.New(rand.NewPCG(seed, 1))}
	pool := netip.MustParsePrefix([]string{"192.0.2.0/26", "192.0.2.0/25", "192.0.2.0/24", "198.18.0.0/22"}[w.random(4)])
	c, err := Config{Subnet: pool, Block: 28}.Complete()
	if err != nil {
		w.fail("%v", err)
	}
	w.store = newStore(c, historyTTL, func() time.Duration { return w.now })
	for i := range 2 + w.random(4) {
		w.machines = append(w.machines, &machine{
			world: w, self: Owner{Node: fmt.Sprintf("host%d", i), MachineID: fmt.Sprintf("id%d", i), BootID: "boot0"}, containers: map[netip.Addr]bool{}, overslept: map[netip.Addr]bool{},
			rate: 0.7 + w.rand.Float64()*0.6, real: w.between(0, 1000*time.Hour),
		})
	}
	return w
}

// carry carries a request to etcd: the network may lose it, delay it, or lose the answer.
func (w *world) carry(m *machine, request func()) bool {
	switch {
	case w.quiet && !m.isPartitioned:
		request()
		return true
	case m.isPartitioned && w.chance(30) && !w.quiet:
		w.late = append(w.late, request)
		return false
	case m.isPartitioned:
		return false
	case w.chance(4):
		w.late = append(w.late, request)
		return false
	case w.chance(4):
		request()
		return false
	}
	request()
	return true
}

// pass lets time pass, in which programs run at random moments.
func (w *world) pass(d time.Duration) {
	w.now += d
	for _, m := range w.machines {
		own := time.Duration(float64(d) * m.rate)
		if !m.isOff && !(m.isSuspended && m.hasStopped) {
			m.boot += own
		}
		m.real += own
		m.isPartitioned = m.isPartitioned && w.now < m.joinsAt
		if (m.isOff || m.isSuspended) && m.wakesAt <= w.now {
			w.wake(m)
		}
	}
	if len(w.late) > 0 && w.chance(50) {
		i := w.random(len(w.late))
		request := w.late[i]
		w.late = slices.Delete(w.late, i, i+1)
		request()
	}
	for _, i := range w.rand.Perm(len(w.machines)) {
		w.machines[i].run()
	}
}

// wake ends a power failure or a suspension. A program that was suspended runs within a second.
func (w *world) wake(m *machine) {
	if m.isOff {
		w.boots++
		m.self.BootID, m.containers, m.onDisk, m.runner, m.startsAt = fmt.Sprintf("boot%d", w.boots), map[netip.Addr]bool{}, nil, nil, w.now
		m.overslept = map[netip.Addr]bool{}
		m.boot, m.isOff = 0, false
		w.note("%s boots", m.self.Node)
		return
	}
	m.isSuspended, m.hasStopped = false, false
	w.note("%s is resumed", m.self.Node)
	w.store.expire()
	for addr := range m.containers {
		if !w.store.blocks[w.store.config.BlockOf(addr)].SameHost(m.self) {
			m.overslept[addr] = true
		}
	}
	if m.runner == nil {
		m.startsAt = w.now
	}
	m.run()
}

// owners returns how many running hosts have a container with an address. A host that was suspended until its lease had ended could
// neither answer probes nor give its addresses up: those containers do not count.
func (w *world) owners(addr netip.Addr) (n int) {
	for _, m := range w.machines {
		if m.isRunning() && m.containers[addr] && !m.overslept[addr] {
			n++
		}
	}
	return n
}

// oversleepers returns how many hosts have a container with an address that does not count.
func (w *world) oversleepers(addr netip.Addr) (n int) {
	for _, m := range w.machines {
		if m.overslept[addr] {
			n++
		}
	}
	return n
}

// add attaches a container: it reads the network configuration, and uses it up to two minutes later.
func (w *world) add(m *machine) {
	blocks := slices.Clone(m.onDisk)
	if len(blocks) == 0 {
		return
	}
	if w.chance(20) {
		boot := m.self.BootID
		w.pass(w.between(time.Second, 2*time.Minute))
		if !m.isRunning() || m.self.BootID != boot {
			return
		}
	}
	for _, i := range w.rand.Perm(len(blocks)) {
		for addr := range w.store.config.Addresses(blocks[i]) {
			if m.containers[addr] {
				continue
			}
			m.containers[addr] = true
			w.adds++
			w.resumed += w.oversleepers(addr)
			if w.owners(addr) > 1 {
				w.fail("%s gets %s, which another host has", m.self.Node, addr)
			}
			return
		}
	}
}

// happen lets one random thing happen to a host.
func (w *world) happen(m *machine) {
	switch event := w.random(100); {
	case event < 55:
		for range 1 + w.random(12) {
			w.add(m)
		}
	case event < 78:
		all := w.chance(40)
		for addr := range m.containers {
			if all || w.chance(60) {
				delete(m.containers, addr)
				delete(m.overslept, addr)
			}
		}
	case event < 84:
		m.isPartitioned, m.joinsAt = true, w.now+w.outage()
		w.note("%s is partitioned until %s", m.self.Node, m.joinsAt)
	case event < 88 && m.runner != nil:
		m.runner, m.startsAt = nil, w.now+w.between(0, 10*time.Minute)
		w.note("%s: the program is killed", m.self.Node)
	case event < 91:
		m.isOff, m.wakesAt = true, w.now+w.outage()
		w.note("%s is off until %s", m.self.Node, m.wakesAt)
		if w.chance(30) {
			w.store.revoke(w.store.nodes[m.self.Node].Lease)
			w.note("%s is forgotten", m.self.Node)
		}
	case event < 93:
		m.isSuspended, m.hasStopped, m.wakesAt = true, w.chance(50), w.now+w.outage()
		w.note("%s is suspended until %s", m.self.Node, m.wakesAt)
	case event < 95:
		m.real += w.between(-48*time.Hour, 48*time.Hour)
	}
}

func (w *world) outage() time.Duration {
	if w.chance(50) {
		return w.between(time.Minute, time.Hour)
	}
	return w.between(time.Hour, 72*time.Hour)
}

// check compares the network configurations of all hosts on which the program runs.
func (w *world) check() {
	owner := map[netip.Prefix]string{}
	for _, m := range w.machines {
		if !m.isRunning() || m.runner == nil {
			continue
		}
		for _, b := range m.onDisk {
			if owner[b] != "" {
				w.fail("%s and %s have the block %s", owner[b], m.self.Node, b)
			}
			owner[b] = m.self.Node
		}
	}
}

// settle ends every failure, and requires that each host has a block, or that none is free.
func (w *world) settle() {
	for _, m := range w.machines {
		m.isPartitioned = false
		if !m.isRunning() {
			w.wake(m)
		}
	}
	w.late = nil
	for range 200 {
		w.pass(time.Minute)
		w.check()
	}
	for _, m := range w.machines {
		_, free := w.store.snapshot().Choose(m.self, func(int) int { return 0 })
		if len(m.onDisk) == 0 && free {
			w.fail("%s has no network configuration at the end: %v", m.self.Node, m.runner.Status())
		}
	}
}

func (w *world) run(events int) {
	for range events {
		w.pass(w.between(time.Second, 3*time.Hour)/time.Duration(1+w.random(60)) + time.Second)
		w.check()
		if m := w.machines[w.random(len(w.machines))]; m.isRunning() {
			w.happen(m)
		}
		if len(w.faults) > 0 {
			return
		}
	}
	w.settle()
}

// TestHistories: in random histories of hosts that are partitioned from etcd, killed, switched off, suspended and forgotten, with clocks
// that run at different speeds and are set, with requests that etcd carries out late or without an answer, no container gets an address
// that a container of another running host has.
//
// Claim: Of many hosts that share a subnet by patchbay-lan, no two give one address to their containers: with hosts that are partitioned from etcd,
// killed, switched off, suspended or back after days, and with clocks that differ
func TestHistories(t *testing.T) {
	total := &world{}
	for seed := range uint64(*histories) {
		w := newWorld(seed)
		w.run(400)
		total.adds, total.resumed, total.now = total.adds+w.adds, total.resumed+w.resumed, total.now+w.now
		if len(w.faults) > 0 {
			t.Fatalf("seed %d: %s\n%s", seed, strings.Join(w.faults, "\n"), strings.Join(w.log[max(0, len(w.log)-60):], "\n"))
		}
	}
	t.Logf("%d histories, %.0f days, %d containers: 0 duplicate addresses given, but %d that a host has which was suspended for longer than its lease", *histories, total.now.Hours()/24, total.adds, total.resumed)
	if total.adds < 50**histories {
		t.Errorf("only %d containers got an address", total.adds)
	}
}
