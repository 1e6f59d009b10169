package lan

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// calm returns a world of n hosts without failures, with blocks of 16 addresses.
func calm(t *testing.T, n int, subnet string) *world {
	t.Helper()
	w := &world{rand: rand.New(rand.NewPCG(1, 1)), quiet: true}
	c, err := Config{Subnet: prefix(subnet), Block: 28}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	w.store = newStore(c, historyTTL, func() time.Duration { return w.now })
	for range n {
		w.join()
	}
	t.Cleanup(func() {
		for _, fault := range w.faults {
			t.Error(fault)
		}
	})
	w.pass(time.Second)
	return w
}

// join adds a host.
func (w *world) join() *machine {
	i := len(w.machines)
	m := &machine{
		world: w, self: Owner{Node: fmt.Sprintf("host%d", i), MachineID: fmt.Sprintf("id%d", i), BootID: "boot0"},
		containers: map[netip.Addr]bool{}, overslept: map[netip.Addr]bool{}, rate: 1,
	}
	w.machines = append(w.machines, m)
	return m
}

// cut cuts a host off from etcd.
func (m *machine) cut() { m.isPartitioned, m.joinsAt = true, 1000*time.Hour }

// fill attaches n containers.
func (w *world) fill(m *machine, n int) {
	for range n {
		for _, b := range m.onDisk {
			if !slices.ContainsFunc(slices.Collect(w.store.config.Addresses(b)), func(a netip.Addr) bool {
				if m.containers[a] {
					return false
				}
				m.containers[a] = true
				return true
			}) {
				continue
			}
			break
		}
		w.pass(time.Second)
	}
}

// TestWatermark: with fewer than 16 free addresses a host claims one more block, up to 20.
//
// Claim: A host of a LAN claims one more block when fewer than 16 addresses are free, up to 20 blocks
func TestWatermark(t *testing.T) {
	w := calm(t, 1, "10.0.0.0/16")
	m := w.machines[0]
	w.fill(m, 1)
	if len(m.onDisk) != 2 {
		t.Errorf("with one container of a block of 16: blocks %v", m.onDisk)
	}
	w.fill(m, 16)
	if len(m.onDisk) != 3 {
		t.Errorf("with 17 containers: blocks %v", m.onDisk)
	}
	w.fill(m, 16*MaxBlocks)
	w.pass(time.Second)
	s := m.runner.Status()
	if len(m.onDisk) != MaxBlocks || len(s.Blocks) != MaxBlocks || !strings.Contains(strings.Join(s.Problems, " "), "which is the limit") {
		t.Errorf("with many containers: %+v", s)
	}
}

// TestRelease: an empty block is released after two observations 10 minutes apart, and 10 minutes without it in the network configuration;
// a container in between keeps it; the last block stays.
//
// Claim: A host of a LAN releases a block that stays empty: it leaves the network configuration after 10 minutes, and etcd 10 minutes later
func TestRelease(t *testing.T) {
	w := calm(t, 1, "10.0.0.0/16")
	m := w.machines[0]
	w.fill(m, 40)
	if len(m.onDisk) != 4 {
		t.Fatalf("blocks %v", m.onDisk)
	}
	clear(m.containers)
	w.settleFor(2 * time.Hour)
	if len(m.onDisk) != 2 || len(w.store.blocks) != 2 {
		t.Errorf("at the end %v, %d blocks in etcd: 32 free addresses need two blocks", m.onDisk, len(w.store.blocks))
	}
}

// TestReleaseWaits: the key of a block is deleted 10 minutes after the network configuration without it was written, not earlier.
//
// Claim: A host of a LAN releases a block that stays empty: it leaves the network configuration after 10 minutes, and etcd 10 minutes later
func TestReleaseWaits(t *testing.T) {
	w := calm(t, 1, "10.0.0.0/16")
	m := w.machines[0]
	w.fill(m, 40)
	clear(m.containers)
	await := func(what string, so func() bool) time.Duration {
		for start := w.now; w.now-start < time.Hour; w.pass(10 * time.Second) {
			if so() {
				return w.now - start
			}
		}
		t.Fatalf("not within an hour: %s", what)
		return 0
	}
	emptied := await("a block leaves the configuration", func() bool { return len(m.onDisk) == 3 })
	gone := await("its key is deleted", func() bool { return len(w.store.blocks) == 3 })
	if emptied < emptyTime || emptied > emptyTime+time.Minute || gone < emptyTime || gone > emptyTime+time.Minute {
		t.Errorf("out of the configuration after %s, deleted %s later", emptied, gone)
	}
	// A container of an ADD that began before: the block is used again.
	await("the next block leaves", func() bool { return len(m.onDisk) == 2 })
	var out netip.Prefix
	for p, b := range m.runner.node.blocks {
		if b.phase == draining {
			out = p
		}
	}
	m.containers[out.Addr().Next()] = true
	w.pass(time.Second)
	if !slices.Contains(m.onDisk, out) {
		t.Errorf("the block %s with a container is not in %v", out, m.onDisk)
	}
}

// TestFence: a host that does not reach etcd for half the time of its lease has no network configuration, its containers stay, and it gets
// the configuration back when etcd answers.
//
// Claim: A host of a LAN that has not reached etcd for half of the time of its lease removes its network configuration until etcd answers
func TestFence(t *testing.T) {
	w := calm(t, 1, "10.0.0.0/16")
	m := w.machines[0]
	w.fill(m, 3)
	last := w.now
	for m.cut(); len(m.onDisk) > 0 && w.now < 48*time.Hour; w.pass(time.Minute) {
		last = w.now
	}
	if age := last.Round(time.Minute); age < historyTTL/2-historyTTL/renewals || age > historyTTL/2+time.Minute {
		t.Errorf("the network configuration was there until %s", last)
	}
	if s := m.runner.Status(); s.State != Waiting || len(s.Problems) == 0 || len(m.containers) != 3 {
		t.Errorf("status %+v", s)
	}
	m.isPartitioned = false
	w.pass(time.Minute)
	if len(m.onDisk) == 0 {
		t.Errorf("no network configuration after the partition: %+v", m.runner.Status())
	}
}

// TestLost: a host whose lease has ended drops the blocks that others have claimed, and names its containers in them.
func TestLost(t *testing.T) {
	w := calm(t, 1, "192.0.2.0/27")
	a := w.machines[0]
	w.fill(a, 3)
	b := w.join()
	a.cut()
	w.pass(historyTTL + time.Hour)
	if len(w.store.nodes) != 1 {
		t.Fatalf("etcd has the hosts %v", w.store.nodes)
	}
	w.fill(b, 14)
	w.pass(time.Minute)
	if s := b.runner.Status(); !strings.Contains(strings.Join(s.Problems, " "), "is in quarantine: a host of the LAN has") {
		t.Errorf("the other host uses a block with containers of the first: %+v", s)
	}
	a.isPartitioned = false
	w.pass(time.Minute)
	s := a.runner.Status()
	if !strings.Contains(strings.Join(s.Problems, " "), "belongs to the host host1 now, and containers of this host have") {
		t.Errorf("status %+v", s)
	}
	clear(a.containers)
	w.pass(2 * time.Hour)
	w.pass(time.Minute)
	if s := b.runner.Status(); s.Blocks[0].Phase != "active" || len(s.Blocks) != 2 || s.Blocks[1].Phase != "active" {
		t.Errorf("after the containers are gone: %+v", s)
	}
}

// TestDiskFull: without space for the network configuration the old one stays, but not one with a block that is another host's.
func TestDiskFull(t *testing.T) {
	w := calm(t, 1, "192.0.2.0/27")
	m := w.machines[0]
	w.fill(m, 3)
	before := slices.Clone(m.onDisk)
	m.isFull = true
	m.cut()
	w.pass(11 * time.Hour)
	if len(before) != 2 || !slices.Equal(m.onDisk, before) {
		t.Errorf("blocks %v, before %v", m.onDisk, before)
	}
	w.store.blocks[before[0]] = w.store.put(owner("b"), 99)
	m.isPartitioned = false
	w.pass(30 * time.Minute)
	if !w.store.blocks[before[1]].SameHost(m.self) || len(m.onDisk) != 0 {
		t.Errorf("the network configuration has %v, of which %s is another host's; status %+v", m.onDisk, before[0], m.runner.Status())
	}
	m.isFull = false
	w.pass(time.Minute)
	if !slices.Equal(m.onDisk, before[1:]) {
		t.Errorf("with space again: %v", m.onDisk)
	}
}

// TestReleaseNeedsSpace: the key of an empty block is not deleted while the network configuration on disk has the block.
func TestReleaseNeedsSpace(t *testing.T) {
	w := calm(t, 1, "10.0.0.0/16")
	m := w.machines[0]
	w.fill(m, 40)
	blocks := len(m.onDisk)
	clear(m.containers)
	m.isFull = true
	w.settleFor(2 * time.Hour)
	if len(m.onDisk) != blocks || len(w.store.blocks) != blocks {
		t.Errorf("%d blocks on disk, %d in etcd, before %d", len(m.onDisk), len(w.store.blocks), blocks)
	}
	m.isFull = false
	w.settleFor(2 * time.Hour)
	if len(m.onDisk) != 2 || len(w.store.blocks) != 2 {
		t.Errorf("with space again: %d blocks on disk, %d in etcd", len(m.onDisk), len(w.store.blocks))
	}
}

// settleFor lets time pass in steps of a minute.
func (w *world) settleFor(d time.Duration) {
	for end := w.now + d; w.now < end; w.pass(time.Minute) {
	}
}

// TestUsurped: a second host with the name and machine-id of a first one takes over, and the first one gives no more addresses.
//
// Claim: A host with the name or the machine-id of another one is refused by patchbay-lan
func TestUsurped(t *testing.T) {
	w := calm(t, 1, "10.0.0.0/16")
	w.machines[0].containers[w.machines[0].onDisk[0].Addr().Next()] = true
	clone := w.join()
	clone.self = w.machines[0].self
	clone.self.BootID = "another boot"
	w.pass(time.Second)
	w.pass(2 * time.Hour)
	w.pass(time.Minute)
	if first := w.machines[0]; len(first.onDisk) != 0 || !strings.Contains(strings.Join(first.runner.Status().Problems, " "), ErrOtherHost.Error()) {
		t.Errorf("the first host: %v, %+v", first.onDisk, first.runner.Status())
	}
}

// TestUnreadable: while the addresses in use cannot be listed, no block is released.
func TestUnreadable(t *testing.T) {
	w := calm(t, 1, "10.0.0.0/16")
	m := w.machines[0]
	w.fill(m, 40)
	blocks := len(m.onDisk)
	m.isUnreadable, m.runner = true, nil
	w.settleFor(2 * time.Hour)
	if len(m.onDisk) != blocks || !strings.Contains(strings.Join(m.runner.Status().Problems, " "), "permission denied") {
		t.Errorf("%d blocks of %d: %+v", len(m.onDisk), blocks, m.runner.Status())
	}
}
