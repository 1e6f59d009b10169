package lan

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

var keys = Keys{"lan"}

func owner(name string) Owner { return Owner{Node: name, MachineID: "id of " + name, BootID: "boot"} }

// TestReadSnapshot: keys are read; a block with an unreadable value counts as claimed.
func TestReadSnapshot(t *testing.T) {
	block := prefix("192.0.2.64/26")
	s := ReadSnapshot(keys, []KeyValue{
		{keys.Config(), []byte(`{"subnet":"192.0.2.0/24"}`), 1, 0},
		{keys.Node("a"), owner("a").Encode(), 2, 7},
		{keys.Block(block), owner("a").Encode(), 3, 7},
		{keys.Used(block), owner("a").Encode(), 3, 0},
		{keys.Block(prefix("192.0.2.128/26")), []byte("{"), 4, 9},
		{keys.Prefix() + "blocks/x", nil, 5, 0},
		{keys.Prefix() + "future/x", nil, 6, 0},
	})
	if s.Config == nil || s.Config.Block != 26 || s.ConfigRevision != 1 || s.Nodes["a"].Lease != 7 || s.Blocks[block].Node != "a" || s.Used[block].Revision != 3 {
		t.Errorf("got %+v", s)
	}
	if _, claimed := s.Blocks[prefix("192.0.2.128/26")]; !claimed || len(s.Faults) != 2 {
		t.Errorf("claimed %v, faults %q", claimed, s.Faults)
	}
}

func FuzzReadSnapshot(f *testing.F) {
	f.Add("blocks/192.0.2.64/26", owner("a").Encode())
	f.Add("config", []byte(`{"subnet":"192.0.2.0/24"}`))
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		s := ReadSnapshot(keys, []KeyValue{{keys.Prefix() + name, value, 1, 2}, {keys.Config(), []byte(`{"subnet":"192.0.2.0/24"}`), 3, 0}})
		if s.Config == nil {
			t.Fatal("no configuration")
		}
		if b, ok := s.Choose(owner("b"), func(int) int { return 0 }); ok && !s.Config.Has(b) {
			t.Errorf("chose %s", b)
		}
		_ = s.Conflict(owner("b"))
	})
}

func emptySnapshot(t *testing.T, subnet string, block int) Snapshot {
	t.Helper()
	c, err := Config{Subnet: prefix(subnet), Block: block}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	return Snapshot{Config: &c, Nodes: map[string]Held{}, Blocks: map[netip.Prefix]Held{}, Used: map[netip.Prefix]Held{}}
}

// TestChooseSpreads: hosts that choose from the same keys choose different blocks. If each took the first free one, 200 hosts would need 200 rounds.
//
// Claim: Hosts that claim blocks of a LAN at the same moment choose at random, so that a claim takes at most 3 requests on average
func TestChooseSpreads(t *testing.T) {
	s := emptySnapshot(t, "10.0.0.0/16", 26)
	random := rand.New(rand.NewPCG(1, 2))
	chosen := map[netip.Prefix]bool{}
	for i := range 200 {
		b, ok := s.Choose(owner(fmt.Sprint(i)), random.IntN)
		if !ok {
			t.Fatal("no block is free")
		}
		chosen[b] = true
	}
	if len(chosen) < 160 {
		t.Errorf("200 hosts chose only %d blocks", len(chosen))
	}
}

// TestChooseFormer: a host gets the blocks that it had before, as long as they are free, then others; at last none.
func TestChooseFormer(t *testing.T) {
	s := emptySnapshot(t, "192.0.2.0/24", 28)
	self := owner("a")
	rebooted := self
	rebooted.BootID = "another boot"
	former := []netip.Prefix{prefix("192.0.2.32/28"), prefix("192.0.2.160/28")}
	for _, p := range former {
		s.Used[p] = Held{Owner: self, Revision: 5}
	}
	s.Used[prefix("192.0.2.48/28")] = Held{Owner: owner("b"), Revision: 6}
	for i := range 16 {
		b, ok := s.Choose(rebooted, rand.IntN)
		if !ok || i < 2 && b != former[0] && b != former[1] || i >= 2 && (b == former[0] || b == former[1]) {
			t.Errorf("chose %s, %v as number %d", b, ok, i)
		}
		value, used := s.Claim(rebooted, b)
		if want := s.Used[b].Revision; used != want || (value.State == Unprobed) != (want != 0) {
			t.Errorf("%s: claims with state %q and revision %d", b, value.State, used)
		}
		s.Blocks[b] = Held{Owner: value}
	}
	if b, ok := s.Choose(self, rand.IntN); ok {
		t.Errorf("chose %s, which is claimed", b)
	}
	if value, _ := s.Claim(self, former[0]); value.State != Usable {
		t.Errorf("a block that this host had during this boot has the state %q", value.State)
	}
}

// TestConflict: a name and a machine-id belong to one host.
//
// Claim: A host with the name or the machine-id of another one is refused by patchbay-lan
func TestConflict(t *testing.T) {
	s := emptySnapshot(t, "192.0.2.0/24", 28)
	s.Nodes["a"] = Held{Owner: owner("a")}
	rebooted, renamed, clone := owner("a"), owner("a"), owner("a")
	rebooted.BootID, renamed.Node, clone.MachineID = "another", "b", "another"
	for want, o := range map[string]Owner{"": rebooted, "has this host's machine-id": renamed, "another host has the name a": clone} {
		if got := s.Conflict(o); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%+v: %q, want %q", o, got, want)
		}
	}
}

func TestCheckNode(t *testing.T) {
	for name, ok := range map[string]bool{"host-1.example.org": true, "": false, "a/b": false, "a b": false, strings.Repeat("a", 254): false, "ü": false} {
		if err := CheckNode(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
