package registry

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/plugins/patchbay-lan/registry"
	"github.com/patchbay-cni/patchbay/test/lan/etcd"
)

// start is one start of the program on a host.
func start(client *clientv3.Client, self lan.Owner, ttl time.Duration) *registry.Registry {
	return registry.New(func() (*clientv3.Client, error) { return client, nil }, "lan", self, ttl)
}

func confirm(t *testing.T, r *registry.Registry) lan.Snapshot {
	t.Helper()
	s, _, err := r.Confirm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func claim(t *testing.T, r *registry.Registry, s lan.Snapshot, self lan.Owner, block string) (bool, lan.Snapshot, error) {
	t.Helper()
	p := netip.MustParsePrefix(block)
	value, used := s.Claim(self, p)
	return r.Claim(t.Context(), p, value, used)
}

const first = "192.0.2.64/26"

// TestRestart: a program that starts again has the blocks of its host, on the same lease, and requests of the earlier start are refused.
//
// Claim: A host whose patchbay-lan starts again keeps its blocks, and no request of the earlier start is carried out any more
func TestRestart(t *testing.T) {
	client := etcd.Start(t).Client(t)
	configured(t, client, "lan", "192.0.2.0/24")
	self := owner(1)
	old := start(client, self, ttl)
	s := confirm(t, old)
	if ok, _, err := claim(t, old, s, self, first); !ok || err != nil {
		t.Fatal(ok, err)
	}
	rebooted := self
	rebooted.BootID = "boot 2"
	now := start(client, rebooted, ttl)
	s = confirm(t, now)
	block := netip.MustParsePrefix(first)
	if held := s.Blocks[block]; !held.SameHost(self) || held.Lease != s.Nodes[self.Node].Lease || s.Nodes[self.Node].BootID != "boot 2" {
		t.Errorf("after the restart: %+v, node %+v", held, s.Nodes)
	}
	if _, _, err := claim(t, old, s, self, "192.0.2.128/26"); !errors.Is(err, lan.ErrUnregistered) {
		t.Errorf("a claim of the earlier start: %v", err)
	}
	if err := old.Delete(t.Context(), block); !errors.Is(err, lan.ErrUnregistered) {
		t.Errorf("a deletion of the earlier start: %v", err)
	}
	if _, _, err := old.Confirm(t.Context()); !errors.Is(err, lan.ErrOtherHost) {
		t.Errorf("a renewal of the earlier start: %v", err)
	}
	if ok, err := now.Mark(t.Context(), block, rebooted); !ok || err != nil {
		t.Errorf("mark: %v, %v", ok, err)
	}
	if err := now.Delete(t.Context(), block); err != nil {
		t.Error(err)
	}
	if s = confirm(t, now); len(s.Blocks) != 0 || !s.Used[block].SameHost(self) {
		t.Errorf("after the release: %+v, used %+v", s.Blocks, s.Used)
	}
}

// TestAnotherTime: a start with another time of the lease moves the blocks to a lease of that time.
//
// Claim: A host whose patchbay-lan starts again keeps its blocks, and no request of the earlier start is carried out any more
func TestAnotherTime(t *testing.T) {
	client := etcd.Start(t).Client(t)
	configured(t, client, "lan", "192.0.2.0/24")
	self := owner(1)
	r := start(client, self, ttl)
	s := confirm(t, r)
	if ok, _, err := claim(t, r, s, self, first); !ok || err != nil {
		t.Fatal(ok, err)
	}
	r = start(client, self, 2*ttl)
	s, left, err := r.Confirm(t.Context())
	if err != nil || left != 2*ttl {
		t.Fatalf("a lease of %s, %v", left, err)
	}
	block := netip.MustParsePrefix(first)
	listed, err := registry.List(t.Context(), client, "lan")
	if err != nil || listed.Blocks[block].Lease != s.Nodes[self.Node].Lease || listed.Blocks[block].Revision != s.Blocks[block].Revision || s.Blocks[block].Lease != listed.Blocks[block].Lease {
		t.Errorf("the block is %+v, listed %+v, %v", s.Blocks[block], listed.Blocks[block], err)
	}
	nodes, err := registry.Nodes(t.Context(), client, listed)
	if err != nil || nodes[self.Node].Left < ttl+time.Hour {
		t.Errorf("node %+v, %v", nodes[self.Node], err)
	}
	if err := r.Delete(t.Context(), block); err != nil {
		t.Error(err)
	}
	if s = confirm(t, r); len(s.Blocks) != 0 {
		t.Errorf("after the release %+v", s.Blocks)
	}
}

// TestLeaseEnds: a host that does not renew its lease loses its blocks; the next host that claims one of them probes it.
//
// Claim: A block of a LAN that another host had is probed before its first use; if a host of the LAN answers, no container gets an address of it
func TestLeaseEnds(t *testing.T) {
	client := etcd.Start(t).Client(t)
	configured(t, client, "lan", "192.0.2.0/24")
	self, other := owner(1), owner(2)
	r, second := start(client, self, 2*time.Second), start(client, other, ttl)
	s := confirm(t, r)
	if ok, _, err := claim(t, r, s, self, first); !ok || err != nil {
		t.Fatal(ok, err)
	}
	s = confirm(t, second)
	if ok, newer, err := claim(t, second, s, other, first); ok || err != nil || newer.Blocks[netip.MustParsePrefix(first)].Revision == 0 {
		t.Fatalf("a block that is claimed: %v, %v, %+v", ok, err, newer.Blocks)
	}
	for deadline := time.Now().Add(time.Minute); len(s.Blocks) > 0; time.Sleep(100 * time.Millisecond) {
		if s = confirm(t, second); time.Now().After(deadline) {
			t.Fatal("the lease does not end")
		}
	}
	value, used := s.Claim(other, netip.MustParsePrefix(first))
	if ok, _, err := second.Claim(t.Context(), netip.MustParsePrefix(first), value, used); !ok || err != nil || value.State != lan.Unprobed {
		t.Fatalf("claimed %v in state %q: %v", ok, value.State, err)
	}
	if _, _, err := claim(t, r, s, self, "192.0.2.128/26"); !errors.Is(err, lan.ErrUnregistered) {
		t.Errorf("a claim without a lease: %v", err)
	}
	if s = confirm(t, r); s.Nodes[self.Node].Revision == 0 {
		t.Error("the host does not register again")
	}
	if ok, err := r.Mark(t.Context(), netip.MustParsePrefix(first), self); ok || err != nil {
		t.Errorf("mark of another host's block: %v, %v", ok, err)
	}
}

// TestUsedChanges: a claim is refused if the block was claimed and released since the list, because it may need a probe now.
func TestUsedChanges(t *testing.T) {
	client := etcd.Start(t).Client(t)
	configured(t, client, "lan", "192.0.2.0/24")
	self, other := owner(1), owner(2)
	r, second := start(client, self, ttl), start(client, other, ttl)
	old := confirm(t, r)
	s := confirm(t, second)
	if ok, _, err := claim(t, second, s, other, first); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := second.Delete(t.Context(), netip.MustParsePrefix(first)); err != nil {
		t.Fatal(err)
	}
	ok, newer, err := claim(t, r, old, self, first)
	if ok || err != nil || !newer.Used[netip.MustParsePrefix(first)].SameHost(other) {
		t.Errorf("claimed %v, %v, %+v", ok, err, newer.Used)
	}
}

// Claim: A host with the name or the machine-id of another one is refused by patchbay-lan
func TestSameNameOrMachineID(t *testing.T) {
	client := etcd.Start(t).Client(t)
	configured(t, client, "lan", "192.0.2.0/24")
	confirm(t, start(client, owner(1), ttl))
	sameName, sameID := owner(1), owner(1)
	sameName.MachineID, sameID.Node = "another", "another"
	for _, self := range []lan.Owner{sameName, sameID} {
		if _, _, err := start(client, self, ttl).Confirm(t.Context()); !errors.Is(err, lan.ErrOtherHost) {
			t.Errorf("%+v: %v", self, err)
		}
	}
}

// TestInitialize: the configuration is written once; other values are refused; without it nothing works.
func TestInitialize(t *testing.T) {
	client := etcd.Start(t).Client(t)
	if _, _, err := start(client, owner(1), ttl).Confirm(t.Context()); !errors.Is(err, lan.ErrUninitialized) {
		t.Errorf("without a configuration: %v", err)
	}
	configured(t, client, "lan", "192.0.2.0/24")
	same, err := lan.Config{Subnet: netip.MustParsePrefix("192.0.2.0/24"), Gateway: netip.MustParseAddr("192.0.2.1")}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	if created, err := registry.Initialize(t.Context(), client, "lan", same); created || err != nil {
		t.Errorf("the same again: %v, %v", created, err)
	}
	same.Block = 28
	if _, err := registry.Initialize(t.Context(), client, "lan", same); err == nil || !strings.Contains(err.Error(), "other values") {
		t.Errorf("other values: %v", err)
	}
}

// TestForget: a host that is forgotten has no keys; its blocks can be claimed, and it registers again if it comes back.
func TestForget(t *testing.T) {
	client := etcd.Start(t).Client(t)
	configured(t, client, "lan", "192.0.2.0/24")
	self := owner(1)
	r := start(client, self, ttl)
	s := confirm(t, r)
	if ok, _, err := claim(t, r, s, self, first); !ok || err != nil {
		t.Fatal(ok, err)
	}
	s, err := registry.List(t.Context(), client, "lan")
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := registry.Nodes(t.Context(), client, s)
	if err != nil || len(nodes[self.Node].Blocks) != 1 || nodes[self.Node].Left < ttl-time.Minute || nodes[self.Node].Age > time.Minute {
		t.Fatalf("nodes %+v, %v", nodes, err)
	}
	if err := registry.Forget(t.Context(), client, "lan", nodes[self.Node]); err != nil {
		t.Fatal(err)
	}
	if s, err = registry.List(t.Context(), client, "lan"); err != nil || len(s.Nodes)+len(s.Blocks) != 0 {
		t.Errorf("left %+v, %+v, %v", s.Nodes, s.Blocks, err)
	}
	if s = confirm(t, r); !s.Nodes[self.Node].SameHost(self) || len(s.Blocks) != 0 {
		t.Errorf("after a renewal: %+v", s)
	}
}

// TestNoServer: each request ends, and says what it was for.
func TestNoServer(t *testing.T) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"127.0.0.1:1"}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	_, _, err = start(client, owner(1), ttl).Confirm(context.Background())
	if err == nil || !strings.Contains(err.Error(), "list the keys of network lan") {
		t.Errorf("got %v", err)
	}
}
